"""Select the positions in a box around a circle on the sky."""

import math
from typing import Final

import pyarrow.compute as pc

_ROUNDING_DEG: Final = 1e-9
"""A box is this much larger than its circle, so that no rounding loses a position at the edge."""

BOX_REACH: Final = 3.001
"""How far from the centre the box around a circle reaches, in radii: 3 over a pole, 2.24 elsewhere,
and a margin for the rounding of radii from 0.1 arcsec on."""


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
