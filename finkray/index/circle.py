"""Check circles on the sky, and compute how far positions are from the centre of one."""

import math
from typing import Final

import numpy as np

MOST_ARCSEC: Final = 36_000.0
"""Largest radius of a cone, 10 degrees: beyond it a reader wants the HATS nights."""


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


def separations_arcsec(
    ra_deg: np.ndarray, dec_deg: np.ndarray, at_ra_deg: float, at_dec_deg: float
) -> np.ndarray:
    """Return the distance of positions from a point, by the haversine formula; NaN for NaN."""
    dec, at_dec = np.radians(dec_deg), np.radians(at_dec_deg)
    half = (
        np.sin((dec - at_dec) / 2) ** 2
        + np.cos(at_dec) * np.cos(dec) * np.sin(np.radians(ra_deg - at_ra_deg) / 2) ** 2
    )
    angle: np.ndarray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))) * 3600
    return angle
