"""The survey's fields on the sky, its camera, and which object falls where on it.

Pointings of ZTF's kind: a grid of fields 6.9 degrees wide, a camera of 16 detectors with
four readout channels each, pixels of 1.012 arcsec. The gaps between detectors are left out.
"""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PIXEL_ARCSEC = 1.012
CHANNELS = 64
CHANNEL_PIXELS = (3072, 3080)
_CHANNEL_DEG = np.array(CHANNEL_PIXELS) * PIXEL_ARCSEC / 3600
_SIDE = 8  # readout channels along each side of the camera
_ROW_STEP_DEG = 6.8
_FIRST_ROW_DEC_DEG = -27.0
_FIRST_NUMBER = 200
_GALACTIC_POLE_DEG = (192.859_48, 27.128_25)  # J2000
_PLANE_DEG = 10.0


@dataclass(frozen=True, slots=True)
class Field:
    """One pointing of the survey's grid."""

    number: int
    ra_deg: float
    dec_deg: float


@cache
def grid() -> tuple[Field, ...]:
    """All fields, numbered along rows of one declination from south to north."""
    pointings: list[Field] = []
    for dec_deg in np.arange(_FIRST_ROW_DEC_DEG, 85, _ROW_STEP_DEG):
        # Enough to close the circle at the edge of the row that is nearer to the equator.
        widest = np.cos(np.radians(max(0.0, abs(dec_deg) - _ROW_STEP_DEG / 2)))
        count = int(np.ceil(360 * widest / _ROW_STEP_DEG))
        for place in range(count):
            number = _FIRST_NUMBER + len(pointings)
            pointings.append(Field(number, 360 * place / count, round(float(dec_deg), 3)))
    return tuple(pointings)


def in_galactic_plane(field: Field) -> bool:
    """Whether its centre is within ten degrees of the plane of the Galaxy."""
    ra, dec, pole_ra, pole_dec = np.radians([field.ra_deg, field.dec_deg, *_GALACTIC_POLE_DEG])
    along = np.cos(dec) * np.cos(pole_dec) * np.cos(ra - pole_ra)
    return bool(abs(np.sin(dec) * np.sin(pole_dec) + along) < np.sin(np.radians(_PLANE_DEG)))


@dataclass(frozen=True)
class Places:
    """Where objects are: on the sky (degrees), and on the camera (channel and pixels)."""

    ra_deg: Floats
    dec_deg: Floats
    channel: Ints
    x_pixels: Floats
    y_pixels: Floats

    def take(self, which: Ints) -> "Places":
        """Only these places, in this order."""
        return Places(*(getattr(self, item.name)[which] for item in fields(self)))


def camera_deg() -> Floats:
    """Width and height of the camera on the sky."""
    return _SIDE * _CHANNEL_DEG


def random_places(rng: np.random.Generator, field: Field, count: int) -> Places:
    """Places all over the camera, as many in one part of it as in another."""
    return places(field, rng.random((count, 2)))


def places(field: Field, share: Floats) -> Places:
    """Places from their share (0 to 1) of the camera's width and height, shape (n, 2)."""
    scaled = np.clip(share, 0, np.nextafter(1, 0)) * _SIDE
    column, row = np.floor(scaled).astype(np.int64).T
    pixels = (scaled - np.floor(scaled)) * CHANNEL_PIXELS
    # Four channels to a detector, counted as the quadrants of a plane are.
    detector = (row // 2) * (_SIDE // 2) + column // 2
    quadrant = np.array([[2, 3], [1, 0]])[row % 2, column % 2]
    ra_deg, dec_deg = deproject(field, (share - 0.5) * camera_deg())
    return Places(ra_deg, dec_deg, 4 * detector + quadrant, pixels[:, 0], pixels[:, 1])


def channel_name(channel: int) -> str:
    """Detector and quadrant of a readout channel as file names have them: `c15_o_q3`."""
    return f"c{channel // 4 + 1:02d}_o_q{channel % 4 + 1}"


def offset(
    ra_deg: Floats, dec_deg: Floats, east_arcsec: Floats, north_arcsec: Floats
) -> tuple[Floats, Floats]:
    """Positions a few arcsec (at most minutes) away from others, in degrees."""
    ra = ra_deg + east_arcsec / 3600 / np.cos(np.radians(dec_deg))
    return ra % 360, dec_deg + north_arcsec / 3600


def deproject(field: Field, plane_deg: Floats) -> tuple[Floats, Floats]:
    """Gnomonic: from the tangent plane at the field's centre, shape (n, 2), to the sky."""
    xi, eta = np.radians(plane_deg).T
    ra, dec = np.radians([field.ra_deg, field.dec_deg])
    # A point that is farther west has the smaller right ascension.
    below = np.cos(dec) - eta * np.sin(dec)
    at_ra = np.arctan2(xi, below) + ra
    at_dec = np.arctan2(np.sin(dec) + eta * np.cos(dec), np.hypot(xi, below))
    return np.degrees(at_ra) % 360, np.degrees(at_dec)
