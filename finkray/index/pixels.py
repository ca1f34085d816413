"""HEALPix pixels of order 29 (NESTED) of positions, and those that cover a circle."""

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from astropy.coordinates import Latitude, Longitude

INDEX_ORDER: Final = 29
"""The order of `_healpix_29` and of the object index: pixels of 0.4 milliarcseconds."""

_DELTA_ORDER: Final = 2
_WIDER: Final = 1 + 1e-9
_WIDER_ARCSEC: Final = 1e-6
"""How much larger a circle is covered, so that no rounding loses a position at its edge."""


def sky_index(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """Return the pixel of each position: finite, with declinations within 90 degrees."""
    import cdshealpix

    if not len(ra_deg):
        return np.empty(0, np.int64)
    lon, lat = _angles(ra_deg, dec_deg)
    index: np.ndarray = cdshealpix.lonlat_to_healpix(lon, lat, INDEX_ORDER, num_threads=1).astype(
        np.int64
    )
    return index


def circle_ranges(ra_deg: float, dec_deg: float, radius_arcsec: float) -> np.ndarray:
    """Return ranges of pixels that cover a circle: (n, 2), first and last, in ascending order."""
    import cdshealpix
    from astropy import units

    radius_deg = (radius_arcsec * _WIDER + _WIDER_ARCSEC) / 3600
    # The mean width of a pixel is sqrt(pi / 3) / 2^order.
    order = int(np.floor(np.log2(np.sqrt(np.pi / 3) / np.radians(radius_deg))))
    order = min(max(order, 0), INDEX_ORDER - _DELTA_ORDER)
    (lon,), (lat,) = _angles(np.array([ra_deg]), np.array([dec_deg]))
    pixels, orders, _ = cdshealpix.cone_search(
        lon, lat, radius_deg * units.deg, order, _DELTA_ORDER
    )
    bits = 2 * (INDEX_ORDER - orders.astype(np.int64))
    first = pixels.astype(np.int64) << bits
    ranges = np.stack([first, first + (np.int64(1) << bits) - 1], axis=1)
    ordered: np.ndarray = ranges[np.argsort(ranges[:, 0])]
    return ordered


def _angles(ra_deg: np.ndarray, dec_deg: np.ndarray) -> "tuple[Longitude, Latitude]":
    from astropy import units
    from astropy.coordinates import Latitude, Longitude

    return Longitude(ra_deg, units.deg), Latitude(np.clip(dec_deg, -90.0, 90.0), units.deg)
