"""Check the names of bands and kinds, and the times, by which points and alerts are chosen."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from finkray.surveys.survey import TAI_MINUS_UTC_MS

BANDS: Final = ("u", "g", "r", "i", "z", "y")
"""The bands, in order of wavelength."""

_UNIX_EPOCH_MJD: Final = 40_587.0


def names_of(
    given: str | Collection[str] | None, known: Sequence[str], what: str
) -> frozenset[str] | None:
    """Return one name or several as a set; None for None.

    Raises
    ------
    ValueError
        if a name is not known; the message says what it should be a name of
    """
    if given is None:
        return None
    names = frozenset([given] if isinstance(given, str) else given)
    unknown = sorted(names - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no {what}: expected {', '.join(known)}")
    return names


def mjd_tai_of(moment: datetime) -> float:
    """Return a time as MJD TAI."""
    return _UNIX_EPOCH_MJD + (moment.timestamp() + TAI_MINUS_UTC_MS / 1000) / 86_400
