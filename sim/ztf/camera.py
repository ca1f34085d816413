"""ZTF's fields on the sky, its camera, and the positions of objects on it.

A grid of fields 6.9 degrees wide, a camera of 16 detectors with four readout channels each, pixels
of 1.012 arcsec. The gaps between detectors are left out.
"""

from functools import cache

import numpy as np

from sim.sky.geometry import Field, Floats, Places, deproject

PIXEL_ARCSEC = 1.012
CHANNELS = 64
CHANNEL_PIXELS = (3072, 3080)
_CHANNEL_DEG = np.array(CHANNEL_PIXELS) * PIXEL_ARCSEC / 3600
_SIDE = 8  # readout channels along each side of the camera
_ROW_STEP_DEG = 6.8
_FIRST_ROW_DEC_DEG = -27.0
_FIRST_NUMBER = 200


@cache
def grid() -> tuple[Field, ...]:
    """Return all fields, numbered along rows of one declination from south to north."""
    pointings: list[Field] = []
    for dec_deg in np.arange(_FIRST_ROW_DEC_DEG, 85, _ROW_STEP_DEG):
        # Enough to close the circle at the edge of the row that is nearer to the equator.
        widest = np.cos(np.radians(max(0.0, abs(dec_deg) - _ROW_STEP_DEG / 2)))
        count = int(np.ceil(360 * widest / _ROW_STEP_DEG))
        for column in range(count):
            number = _FIRST_NUMBER + len(pointings)
            pointings.append(Field(number, 360 * column / count, round(float(dec_deg), 3)))
    return tuple(pointings)


def camera_deg() -> Floats:
    """Return width and height of the camera on the sky."""
    return _SIDE * _CHANNEL_DEG


def random_places(rng: np.random.Generator, field: Field, count: int) -> Places:
    """Return random positions, spread evenly over the camera."""
    return places(field, rng.random((count, 2)))


def places(field: Field, share: Floats) -> Places:
    """Return positions from shares (0 to 1) of the camera's width and height, shape (n, 2)."""
    scaled = np.clip(share, 0, np.nextafter(1, 0)) * _SIDE
    column, row = np.floor(scaled).astype(np.int64).T
    pixels = (scaled - np.floor(scaled)) * CHANNEL_PIXELS
    # Four channels to a detector, counted as the quadrants of a plane are.
    detector = (row // 2) * (_SIDE // 2) + column // 2
    quadrant = np.array([[2, 3], [1, 0]])[row % 2, column % 2]
    ra_deg, dec_deg = deproject(field, (share - 0.5) * camera_deg())
    return Places(ra_deg, dec_deg, 4 * detector + quadrant, pixels[:, 0], pixels[:, 1])


def channel_name(channel: int) -> str:
    """Return detector and quadrant of a readout channel as in file names: `c15_o_q3`."""
    return f"c{channel // 4 + 1:02d}_o_q{channel % 4 + 1}"
