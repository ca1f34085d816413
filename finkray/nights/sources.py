"""Choose the files from which the narrow columns of some hourly files are read, each alert once.

A built night was made of the hourly files that existed at that time: they are its sources. Since
then hourly files may have come, been replaced or been lost, and a source may have alerts of other
nights too. So a built night is used for an hour only if all of its sources of that hour exist and
have the same size. Then:

- a source whose rows are all in built nights is not read;
- of a source that has other rows too, the rows of other nights are read;
- an hourly file that is not a source is read.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.nights.layout import (
    HATS_FOLDER,
    LEFT_OUT,
    SOURCES_FILE,
    committed_generation,
    generation_folder,
    narrow_file,
)
from finkray.storage.contract import Storage, StoredFile
from finkray.storage.hours import Span

_BEFORE: Final = timedelta(days=3)
_AFTER: Final = timedelta(days=2)
"""Nights up to this long before and after a span are used for it. Alerts that arrived later still
are read from hourly files."""


@dataclass(frozen=True, slots=True)
class NarrowNight:
    """The narrow columns of a night.

    Attributes
    ----------
    night
        its date
    generation
        folder of the generation
    sources
        `SOURCES`, in order of paths
    left_out
        columns of the hourly files that it does not have
    """

    night: date
    generation: str
    sources: pa.Table
    left_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class ChosenFile:
    """A file that is read.

    Attributes
    ----------
    path
        of the file
    without
        nights whose rows are not read
    """

    path: str
    without: frozenset[date] = frozenset()


def generations(storage: Storage, span: Span) -> list[tuple[date, str]]:
    """Return the committed generation of each built night near a span: night and folder."""
    out = []
    for nights in storage.folders(HATS_FOLDER):
        for folder in storage.folders(nights):
            night = _date(folder.rpartition("/")[2])
            if night is None or not _near(night, span):
                continue
            number = committed_generation(storage, folder)
            if number is not None:
                out.append((night, generation_folder(folder, number)))
    return out


def read_nights(storage: Storage, found: Iterable[tuple[date, str]]) -> Iterator[NarrowNight]:
    """Yield the narrow columns of generations; one that has none is left out."""
    for night, generation in found:
        try:
            with storage.open(f"{generation}/{SOURCES_FILE}") as source:
                sources = pq.read_table(source)
        except FileNotFoundError:
            continue
        left_out = json.loads((sources.schema.metadata or {}).get(LEFT_OUT, b"[]"))
        yield NarrowNight(night, generation, sources, frozenset(left_out))


def choose(
    files: Sequence[StoredFile], nights: Iterable[NarrowNight]
) -> tuple[list[ChosenFile], list[NarrowNight]]:
    """Choose the files that together have each row of some hourly files once.

    Parameters
    ----------
    files
        the hourly files
    nights
        built nights

    Returns
    -------
    list[ChosenFile]
        the files, hour by hour in the order of `files`
    list[NarrowNight]
        the nights that are used
    """
    sizes = {file.path: file.size_bytes for file in files}
    narrow: dict[str, list[str]] = defaultdict(list)
    covered: dict[str, list[tuple[date, int, int]]] = defaultdict(list)
    used = []
    selected = {_folder(path) for path in sizes}
    for night in nights:
        by_folder: dict[str, list[dict[str, int | str]]] = defaultdict(list)
        for row in night.sources.to_pylist():
            if (folder := _folder(row["path"])) in selected:
                by_folder[folder].append(row)
        whole = {
            folder: rows
            for folder, rows in by_folder.items()
            if all(sizes.get(str(row["path"])) == row["size_bytes"] for row in rows)
        }
        for folder, rows in whole.items():
            narrow[folder].append(narrow_file(night.generation, folder))
            for row in rows:
                of_file = (night.night, int(row["night_rows"]), int(row["rows"]))
                covered[str(row["path"])].append(of_file)
        if whole:
            used.append(night)
    chosen: list[ChosenFile] = []
    for path in sizes:
        chosen += [ChosenFile(each) for each in narrow.pop(_folder(path), [])]
        of_nights = covered.get(path, [])
        if not of_nights:
            chosen.append(ChosenFile(path))
        elif sum(night_rows for _, night_rows, _ in of_nights) < of_nights[0][2]:
            chosen.append(ChosenFile(path, frozenset(night for night, _, _ in of_nights)))
    return chosen, used


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _near(night: date, span: Span) -> bool:
    return (span.start is None or night >= span.start.date() - _BEFORE) and (
        span.end is None or night <= span.end.date() + _AFTER
    )
