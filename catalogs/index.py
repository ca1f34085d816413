"""Pixels around positions, from their index `_healpix_29`: the pixel of order 29 (NESTED)."""

from typing import Final

import numpy as np

from catalogs.partition import shift
from finkray.index.pixels import INDEX_ORDER

_NARROWEST: Final = 1.6
"""The narrowest pixel is this many times narrower than the mean one (from
`hats.pixel_math.healpix_shim.order2mindist`)."""


def ring_order(radius_arcsec: float) -> int:
    """Return the highest order at which the pixels of `around` cover a circle of this radius.

    Raises
    ------
    ValueError
        The radius is wider than 10 degrees.
    """
    radius_rad = np.radians(radius_arcsec / 3600.0)
    # The mean width of a pixel is sqrt(pi / 3) / 2^order.
    order = int(np.floor(np.log2(np.sqrt(np.pi / 3) / (_NARROWEST * radius_rad))))
    if order < 1:
        raise ValueError(f"a radius of {radius_arcsec} arcsec is too wide")
    return min(order, INDEX_ORDER)


def around(index: np.ndarray, order: int) -> np.ndarray:
    """Return the pixels that positions lie in and their neighbours: (n, 9), -1 for none."""
    import cdshealpix

    # Each call would start new threads: a batch is faster with one.
    pixels = (index >> shift(order)).astype(np.uint64)
    ring: np.ndarray = cdshealpix.neighbours(pixels, order, num_threads=1).astype(np.int64)
    return ring
