"""Select positions on the sphere: circles, the boxes around them, and separations."""

import math
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_ARCSEC: Final = 36_000.0
"""Largest radius of a cone, 10 degrees: beyond it a reader wants the HATS nights."""

_ROUNDING_DEG: Final = 1e-9
"""A box is this much larger than its circle, so that no rounding loses a position at the edge."""


def checked_circle(
    ra_deg: float, dec_deg: float, radius_arcsec: float
) -> tuple[float, float, float]:
    """Return a circle with its right ascension in 0 to 360 degrees.

    Raises
    ------
    ValueError
        if it is none; the message says which value is wrong
    """
    if not math.isfinite(ra_deg) or not -360 <= ra_deg <= 360:
        raise ValueError(f"right ascension {ra_deg} is not within 0 to 360 degrees")
    if not math.isfinite(dec_deg) or not -90 <= dec_deg <= 90:
        raise ValueError(f"declination {dec_deg} is not within -90 to 90 degrees")
    if not 0 < radius_arcsec <= MOST_ARCSEC:
        raise ValueError(
            f"radius {radius_arcsec} is not above 0 and at most {MOST_ARCSEC:.0f} arcsec"
        )
    return ra_deg % 360, dec_deg, radius_arcsec


def in_box(
    ra: pc.Expression, dec: pc.Expression, ra_deg: float, dec_deg: float, radius_arcsec: float
) -> pc.Expression:
    """Return whether positions are in a box around a circle, which filters files cheaply.

    Parameters
    ----------
    ra, dec
        of the positions, in degrees; right ascension from 0 to 360
    ra_deg, dec_deg, radius_arcsec
        the circle
    """
    radius = radius_arcsec / 3600 + _ROUNDING_DEG
    box = (dec >= dec_deg - radius) & (dec <= dec_deg + radius)
    if abs(dec_deg) + radius >= 90:  # every right ascension meets at the pole
        return box
    width = math.degrees(
        math.asin(math.sin(math.radians(radius)) / math.cos(math.radians(dec_deg)))
    )
    low, high = ra_deg - width - _ROUNDING_DEG, ra_deg + width + _ROUNDING_DEG
    if low < 0:
        return box & ((ra >= low + 360) | (ra <= high))
    if high > 360:
        return box & ((ra >= low) | (ra <= high - 360))
    return box & (ra >= low) & (ra <= high)


def separations_arcsec(ra: pa.Array, dec: pa.Array, ra_deg: float, dec_deg: float) -> np.ndarray:
    """Return the distance of positions from a point, by the haversine formula; NaN for nulls."""
    ra_rad, dec_rad = (np.radians(_numpy(values)) for values in (ra, dec))
    at_ra, at_dec = math.radians(ra_deg), math.radians(dec_deg)
    half = (
        np.sin((dec_rad - at_dec) / 2) ** 2
        + math.cos(at_dec) * np.cos(dec_rad) * np.sin((ra_rad - at_ra) / 2) ** 2
    )
    angle: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))) * 3600
    return angle


def _numpy(values: pa.Array) -> np.ndarray:
    out: np.ndarray = values.to_numpy(zero_copy_only=False)
    return out.astype(np.float64)
