"""Make claims of the files of a partition that no claim names. Pure.

A claim accounts for each of its offsets, and no file belongs to two claims. So files whose offsets
are interleaved (of two schemas, two hours, alerts and dead letters) become one claim. An offset
that is an alert and a dead letter is a resolved dead letter. Where claims began and ended, only the
results of services still say: these have the claims of the archive.

Offsets between those of the files were gaps, or in a file that is lost: the files do not say. Such
a claim names one more file, which does not exist, so that an audit finds these offsets missing, and
a redrive asks Kafka.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finkray.claim import Claim, ClaimResult, DataFile, TopicPartition
from finkray.intervals import Interval, IntervalSet
from finkray.storage.layout import alerts_path, parse_path

NO_FINGERPRINT = "0" * 64
"""Fingerprint in the name of the file that stands for offsets that are in no file."""

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of alerts, or of dead letters, and the offsets that are in it.

    Attributes
    ----------
    file
        as in the ledger
    offsets
        of its rows
    reasons
        of dead letters, row by row; () for alerts
    """

    file: DataFile
    offsets: Offsets
    reasons: Sequence[str] = ()

    @property
    def has_letters(self) -> bool:
        """Whether its rows are dead letters."""
        return self.file.schema_fingerprint is None


class LeftOut(NamedTuple):
    """A file that becomes part of no claim, and why."""

    path: str
    why: str


@dataclass(slots=True)
class FileClaims:
    """The claims of files.

    Attributes
    ----------
    results
        the claims, in order
    left_out
        files that are in none of them
    offsets_in_no_file
        number of offsets of the claims for which there is no file
    """

    results: list[ClaimResult] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    offsets_in_no_file: int = 0


def make_claims(
    source: TopicPartition,
    files: Iterable[FoundFile],
    covered: IntervalSet,
    bounds: Iterable[Interval] = (),
) -> FileClaims:
    """Return claims that have as many of the files as possible.

    Parameters
    ----------
    source
        the partition
    files
        its files; each has a row
    covered
        the offsets that other claims have
    bounds
        first and last offsets of claims, as services had them; they do not overlap
    """
    made = FileClaims()
    known = sorted(span for span in bounds if not covered.overlaps(*span))
    group: list[FoundFile] = []
    span = Interval(-1, -1)
    for found in sorted(files, key=lambda each: (each.file.first_offset, each.file.path)):
        file = found.file
        wide = _span_of(file, known)
        if covered.overlaps(file.first_offset, file.last_offset):
            made.left_out.append(LeftOut(file.path, "other claims have its offsets"))
        elif _has_twice(found.offsets):
            made.left_out.append(LeftOut(file.path, "it has an offset twice"))
        elif wide.first > span.last:
            _finish(made, source, span, group)
            group, span = [found], wide
        elif other := _same_offset(found, group):
            why = f"{other.file.path} has an offset that it has too"
            made.left_out.append(LeftOut(file.path, why))
        else:
            group.append(found)
            span = Interval(min(span.first, wide.first), max(span.last, wide.last))
    _finish(made, source, span, group)
    return made


def _span_of(file: DataFile, bounds: Sequence[Interval]) -> Interval:
    """Return the bounds of the claim that a file belonged to; its own offsets if not known."""
    at = bisect_right(bounds, (file.first_offset, file.last_offset))
    for span in bounds[max(0, at - 1) : at + 1]:
        if span.first <= file.first_offset and file.last_offset <= span.last:
            return span
    return Interval(file.first_offset, file.last_offset)


def _has_twice(offsets: Offsets) -> bool:
    return len(np.unique(offsets)) != len(offsets)


def _same_offset(found: FoundFile, group: Sequence[FoundFile]) -> FoundFile | None:
    """Return a file of alerts (or of dead letters, as `found`) that shares an offset with it."""
    for other in group:
        same_table = other.has_letters == found.has_letters
        if same_table and len(np.intersect1d(other.offsets, found.offsets)):
            return other
    return None


def _finish(
    made: FileClaims, source: TopicPartition, span: Interval, group: Sequence[FoundFile]
) -> None:
    """Add the claim of a group of files that belong together."""
    if not group:
        return
    first, last = span
    archived = _joined(found.offsets for found in group if not found.has_letters)
    letters = [found for found in group if found.has_letters]
    dead = _joined(found.offsets for found in letters)
    resolved = np.intersect1d(archived, dead)
    in_no_file = np.setdiff1d(np.arange(first, last + 1), np.concatenate([archived, dead]))
    reasons = Counter(
        reason
        for found in letters
        for reason, is_resolved in zip(found.reasons, np.isin(found.offsets, resolved), strict=True)
        if not is_resolved
    )
    missing = [_missing_file(source, in_no_file, group)] if len(in_no_file) else []
    made.offsets_in_no_file += len(in_no_file)
    made.results.append(
        ClaimResult(
            claim=Claim(source, first, last),
            files=(*(found.file for found in group if not found.has_letters), *missing),
            dead_letter_files=tuple(found.file for found in letters),
            dead_letters_by_reason=tuple(sorted(reasons.items())),
            resolved=tuple(IntervalSet.of(resolved.tolist())),
        )
    )


def _joined(offsets: Iterator[Offsets]) -> Offsets:
    return np.concatenate([np.empty(0, np.int64), *offsets])


def _missing_file(source: TopicPartition, offsets: Offsets, group: Sequence[FoundFile]) -> DataFile:
    """Return the file, which does not exist, that stands for offsets that are in no file."""
    first, last = int(offsets[0]), int(offsets[-1])
    path = parse_path(group[0].file.path)
    if path is None:
        raise ValueError(f"{group[0].file.path} is no path of an archive")
    return DataFile(
        path=alerts_path(source, path.hour_utc, first, last, NO_FINGERPRINT),
        rows=len(offsets),
        size_bytes=0,
        first_offset=first,
        last_offset=last,
        schema_fingerprint=NO_FINGERPRINT,
        hour_utc=path.hour_utc.isoformat(),
    )
