"""Spans of time, and the hourly folders with their alerts."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER

Moment = datetime | str
"""A time as people give it: see `utc`."""

HOUR = timedelta(hours=1)

_LEVELS = ("year", "month", "day", "hour")

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DAY_AND_HOUR = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d")


@dataclass(frozen=True, slots=True)
class Span:
    """The time from `start` up to, not including, `end`, UTC; None is without bound."""

    start: datetime | None = None
    end: datetime | None = None

    def meets(self, first: datetime, end: datetime) -> bool:
        """Return whether the time from `first` up to, not including, `end` overlaps the span."""
        return (self.start is None or end > self.start) and (self.end is None or first < self.end)


def utc(moment: Moment) -> datetime:
    """Return a moment in UTC. A moment without a zone is in UTC, not in the machine's zone.

    Raises
    ------
    ValueError
        if the text is not ISO 8601, or no Python has the moment in UTC
    """
    if isinstance(moment, str):
        text = f"{moment}:00" if _DAY_AND_HOUR.fullmatch(moment) else moment
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(
                f"{moment!r} is no time: expected ISO 8601, as 2026-11-24T01:30 (UTC)"
            ) from error
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment} is not in the years 1 to 9999 of UTC") from None


def span_of(text: str) -> Span:
    """Parse a span.

    ``2026-11-24`` is that UTC day, ``2026-11-24T01`` that hour, ``A..B`` from the beginning of
    A to the end of B, where A and B are days, hours, or moments to the minute or finer.

    Raises
    ------
    ValueError
        if the text is none of these
    """
    first, dots, last = text.partition("..")
    span = Span(utc(first), _end_of(last if dots else first))
    if span.end is None or span.start is None or span.end <= span.start:
        raise ValueError(f"{text!r} ends before it begins")
    return span


def span_between(begins: str, ends: str) -> Span:
    """Return the span from one moment to another.

    Raises
    ------
    ValueError
        if one of them is no time, or the second is not after the first
    """
    start, end = utc(begins), utc(ends)
    if end <= start:
        raise ValueError(f"{ends} is not after {begins}")
    return Span(start, end)


def _end_of(text: str) -> datetime:
    length = (
        timedelta(days=1)
        if _DAY.fullmatch(text)
        else HOUR
        if _DAY_AND_HOUR.fullmatch(text)
        else timedelta()
    )
    try:
        return utc(text) + length
    except OverflowError:
        raise ValueError(f"{text} does not end in the years 1 to 9999") from None


def hour_folders(
    storage: Storage, span: Span, topics: frozenset[str] | None, below: str = ALERTS_FOLDER
) -> Iterator[tuple[str, datetime]]:
    """Yield the hourly folders that overlap a span, each with its hour.

    Parameters
    ----------
    storage
        of the archive
    span
        the span
    topics
        names of topics; None is all
    below
        the folder with the folders of topics
    """
    for folder in storage.folders(below):
        name, _, topic = folder.rpartition("/")[2].partition("=")
        if name == "topic" and (topics is None or topic in topics):
            yield from _hours_below(storage, folder, (), span)


def _hours_below(
    storage: Storage, folder: str, above: tuple[int, ...], span: Span
) -> Iterator[tuple[str, datetime]]:
    for path in storage.folders(folder):
        name, _, value = path.rpartition("/")[2].partition("=")
        if name != _LEVELS[len(above)] or not value.isdigit():
            continue
        numbers = (*above, int(value))
        with suppress(ValueError):  # a folder such as month=13 is ignored
            first, end = _extent(numbers)
            if not span.meets(first, end):
                continue
            if len(numbers) == len(_LEVELS):
                yield path, first
            else:
                yield from _hours_below(storage, path, numbers, span)


def _extent(numbers: tuple[int, ...]) -> tuple[datetime, datetime]:
    """Return begin and end of a year, month, day or hour, given as (year, month, …)."""
    year, month, day, hour = numbers + (1, 1, 0)[len(numbers) - 1 :]
    first = datetime(year, month, day, hour, tzinfo=UTC)
    match len(numbers):
        case 1:
            return first, first.replace(year=first.year + 1)
        case 2:
            return first, (first + timedelta(days=31)).replace(day=1)
        case 3:
            return first, first + timedelta(days=1)
        case _:
            return first, first + HOUR
