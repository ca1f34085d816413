"""Positions on the sky and on a camera, and the steps from one to the other."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_GALACTIC_POLE_DEG = (192.859_48, 27.128_25)  # J2000
_PLANE_DEG = 10.0


@dataclass(frozen=True, slots=True)
class Field:
    """A pointing of a survey."""

    number: int
    ra_deg: float
    dec_deg: float


def in_galactic_plane(field: Field) -> bool:
    """Whether the centre of a field is within ten degrees of the Galactic plane."""
    ra, dec, pole_ra, pole_dec = np.radians([field.ra_deg, field.dec_deg, *_GALACTIC_POLE_DEG])
    along = np.cos(dec) * np.cos(pole_dec) * np.cos(ra - pole_ra)
    return bool(abs(np.sin(dec) * np.sin(pole_dec) + along) < np.sin(np.radians(_PLANE_DEG)))


@dataclass(frozen=True)
class Places:
    """Positions of objects: on the sky (degrees), and on the camera (channel and pixels)."""

    ra_deg: Floats
    dec_deg: Floats
    channel: Ints
    x_pixels: Floats
    y_pixels: Floats

    def take(self, which: Ints) -> "Places":
        """Return only these positions, in this order."""
        return Places(*(getattr(self, item.name)[which] for item in fields(self)))


def offset(
    ra_deg: Floats, dec_deg: Floats, east_arcsec: Floats, north_arcsec: Floats
) -> tuple[Floats, Floats]:
    """Return positions a few arcsec (at most arcminutes) away from others, in degrees."""
    ra = ra_deg + east_arcsec / 3600 / np.cos(np.radians(dec_deg))
    return ra % 360, dec_deg + north_arcsec / 3600


def deproject(field: Field, plane_deg: Floats) -> tuple[Floats, Floats]:
    """Project from the tangent plane at the field's centre, shape (n, 2), to the sky (gnomonic)."""
    xi, eta = np.radians(plane_deg).T
    ra, dec = np.radians([field.ra_deg, field.dec_deg])
    # A point that is farther west has the smaller right ascension.
    below = np.cos(dec) - eta * np.sin(dec)
    at_ra = np.arctan2(xi, below) + ra
    at_dec = np.arctan2(np.sin(dec) + eta * np.cos(dec), np.hypot(xi, below))
    return np.degrees(at_ra) % 360, np.degrees(at_dec)
