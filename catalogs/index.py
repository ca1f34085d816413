"""The index `_healpix_29`: the HEALPix pixel of order 29 (NESTED) that a position lies in."""

from typing import TYPE_CHECKING, Final

import numpy as np

from catalogs.partition import INDEX_ORDER, shift

if TYPE_CHECKING:
    from astropy.coordinates import Latitude, Longitude

_NARROWEST: Final = 1.6
"""The narrowest pixel is this many times narrower than the mean one (from
`hats.pixel_math.healpix_shim.order2mindist`)."""


def sky_index(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Return `_healpix_29` of positions: finite, with declinations within 90 degrees."""
    import cdshealpix

    if not len(ra_deg):
        return np.empty(0, np.int64)
    lon, lat = _angles(ra_deg, dec_deg)
    index: np.ndarray = cdshealpix.lonlat_to_healpix(lon, lat, INDEX_ORDER, num_threads=1).astype(
        np.int64
    )
    return index


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


def _angles(ra_deg: np.ndarray, dec_deg: np.ndarray) -> "tuple[Longitude, Latitude]":
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    return Longitude(ra_deg, units.deg), Latitude(np.clip(dec_deg, -90.0, 90.0), units.deg)
