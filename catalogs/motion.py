"""Carry the positions of sources from the epoch of a catalogue to another time."""

from typing import Final

import numpy as np

MJD_J2000: Final = 51_544.5
"""The epoch J2000.0. TAI is 32 s behind TT, in which it is defined: nothing moves in that time."""

DAYS_A_YEAR: Final = 365.25

_MAS_TO_RAD: Final = np.pi / (180 * 3600 * 1000)


def julian_year(mjd: np.ndarray) -> np.ndarray:
    """Return the Julian year of a modified Julian date, such as 2026.2."""
    return 2000.0 + (mjd - MJD_J2000) / DAYS_A_YEAR


def carried(
    ra_rad: np.ndarray,
    dec_rad: np.ndarray,
    pm_ra_mas_yr: np.ndarray,
    pm_dec_mas_yr: np.ndarray,
    years: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions after some years of straight and even motion.

    The standard model without parallax and radial velocity: the unit vector at the epoch plus
    the proper motion's vector times the years, made a unit vector again (The Hipparcos and Tycho
    Catalogues, ESA SP-1200, volume 1, 1.5.5). It also holds at the poles.

    Parameters
    ----------
    ra_rad, dec_rad
        at the epoch, radians
    pm_ra_mas_yr, pm_dec_mas_yr
        mas a year; in right ascension times cos(dec)
    years
        from the epoch on, or before it if negative

    Returns
    -------
    tuple
        right ascension in [0, 2 pi) and declination, radians
    """
    east, north = (pm * _MAS_TO_RAD * years for pm in (pm_ra_mas_yr, pm_dec_mas_yr))
    sin_ra, cos_ra = np.sin(ra_rad), np.cos(ra_rad)
    sin_dec, cos_dec = np.sin(dec_rad), np.cos(dec_rad)
    x = cos_dec * cos_ra - sin_ra * east - sin_dec * cos_ra * north
    y = cos_dec * sin_ra + cos_ra * east - sin_dec * sin_ra * north
    z = sin_dec + cos_dec * north
    return np.arctan2(y, x) % (2 * np.pi), np.arctan2(z, np.hypot(x, y))
