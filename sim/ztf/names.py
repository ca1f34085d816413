"""Names in ZTF's form: `ZTF` with the year of the first detection and seven letters."""

from datetime import UTC, datetime, timedelta

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)  # Julian date 2 451 545
_LETTERS = 26**7
# Odd and not a multiple of 13: multiplication is one to one, and neighbours get unlike names.
_SPREAD = 3_141_592_653
_ASTEROIDS_FROM = _LETTERS // 2


def object_name(serial: int, first_detected_jd: float) -> str:
    """Return the name of a lasting object; serials below half of 26^7 have different names."""
    return _name(serial % _ASTEROIDS_FROM, first_detected_jd)


def asteroid_name(serial: int, detected_jd: float) -> str:
    """Return the name of an asteroid at one position: it moves, so each detection has its own."""
    return _name(_ASTEROIDS_FROM + serial % _ASTEROIDS_FROM, detected_jd)


def _name(serial: int, jd: float) -> str:
    year = (_J2000 + timedelta(days=jd - 2_451_545)).year
    rest = serial * _SPREAD % _LETTERS
    letters = ""
    for _ in range(7):
        rest, letter = divmod(rest, 26)
        letters = chr(ord("a") + letter) + letters
    return f"ZTF{year % 100:02d}{letters}"
