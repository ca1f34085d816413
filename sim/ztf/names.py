"""Names as ZTF gives them: `ZTF` with the year of the first detection and seven letters."""

from datetime import UTC, datetime, timedelta

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)  # Julian date 2 451 545
_LETTERS = 26**7
# Odd and not a multiple of 13: multiplying by it is one to one, and neighbours look unlike.
_SPREAD = 3_141_592_653
_ASTEROIDS_FROM = _LETTERS // 2


def object_name(serial: int, first_detected_jd: float) -> str:
    """The name of a lasting object; another for each serial below half of 26^7."""
    return _name(serial % _ASTEROIDS_FROM, first_detected_jd)


def asteroid_name(serial: int, detected_jd: float) -> str:
    """The name of one place where an asteroid was: it moves, so each detection gets its own."""
    return _name(_ASTEROIDS_FROM + serial % _ASTEROIDS_FROM, detected_jd)


def _name(serial: int, jd: float) -> str:
    year = (_J2000 + timedelta(days=jd - 2_451_545)).year
    rest = serial * _SPREAD % _LETTERS
    letters = ""
    for _ in range(7):
        rest, letter = divmod(rest, 26)
        letters = chr(ord("a") + letter) + letters
    return f"ZTF{year % 100:02d}{letters}"
