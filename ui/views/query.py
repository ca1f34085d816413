"""Parse what a viewer typed into the search box: an id, or a circle on the sky. Pure."""

import math
import re
from dataclasses import dataclass
from typing import Final

DEFAULT_RADIUS_ARCSEC: Final = 10.0
MOST_RADIUS_ARCSEC: Final = 36_000.0
LONGEST: Final = 100

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+")
_SEPARATORS: Final = re.compile(r"[\s,;:hmsd°'\"]+")


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle: its centre in degrees, ICRS, and its radius."""

    ra_deg: float
    dec_deg: float
    radius_arcsec: float


def parse_query(text: str) -> Circle | str:
    """Return the circle that a text describes, or the text as an id.

    Circles are `150.1 2.2`, `150.1, -2.2, 30` with a radius in arcsec, `10:00:24 +02:12:00`, and
    `10 00 24 +02 12 00 5` or `10h00m24s +02d12m00s`.

    Raises
    ------
    ValueError
        It is empty, too long, or looks like a circle and is none.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise ValueError(f"expected an id, or coordinates: 1 to {LONGEST} characters")
    words = [word for word in _SEPARATORS.split(text) if word]
    if len(words) < 2 or not all(_NUMBER.fullmatch(word) for word in words):
        return text
    radius = float(words[-1]) if len(words) in (3, 7) else DEFAULT_RADIUS_ARCSEC
    numbers = words[: len(words) - len(words) % 2]
    if len(numbers) == 2:
        ra, dec = float(numbers[0]), float(numbers[1])
    elif len(numbers) == 6:
        ra = 15 * _sexagesimal(numbers[:3])
        dec = _sexagesimal(numbers[3:])
    else:
        raise ValueError("expected RA and Dec, in degrees or each as three numbers, and a radius")
    if not (0 <= ra < 360 and -90 <= dec <= 90):
        raise ValueError("RA is from 0 to 360 degrees (24 h), Dec from -90 to 90 degrees")
    if not 0 < radius <= MOST_RADIUS_ARCSEC:
        raise ValueError(f"the radius is above 0 and at most {MOST_RADIUS_ARCSEC:.0f} arcsec")
    return Circle(ra, dec, radius)


def sexagesimal(ra_deg: float, dec_deg: float) -> str:
    """Return a position as hours and degrees: `10:00:24.00 +02:12:00.0`."""
    seconds = round(ra_deg / 15 * 3600 * 100) % (24 * 3600 * 100)
    arcsec = round(abs(dec_deg) * 3600 * 10)
    sign = "-" if dec_deg < 0 else "+"
    return (
        f"{seconds // 360_000:02d}:{seconds // 6000 % 60:02d}:{seconds % 6000 / 100:05.2f} "
        f"{sign}{arcsec // 36_000:02d}:{arcsec // 600 % 60:02d}:{arcsec % 600 / 10:04.1f}"
    )


def galactic_latitude_deg(ra_deg: float, dec_deg: float) -> float:
    """Return the Galactic latitude of a position in ICRS, to a thousandth of a degree."""
    ra, dec = math.radians(ra_deg), math.radians(dec_deg)
    pole_ra, pole_dec = math.radians(192.85948), math.radians(27.12825)
    sine = math.sin(dec) * math.sin(pole_dec)
    sine += math.cos(dec) * math.cos(pole_dec) * math.cos(ra - pole_ra)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def _sexagesimal(words: list[str]) -> float:
    whole, minutes, seconds = (float(word) for word in words)
    if not (0 <= minutes < 60 and 0 <= seconds < 60):
        raise ValueError("minutes and seconds are from 0 to 60")
    size = abs(whole) + minutes / 60 + seconds / 3600
    return -size if words[0].startswith("-") else size
