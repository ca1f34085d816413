"""Compare the files that the ledger names with those that exist; made for millions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from finkray.audit.report import FileFinding, FileProblem, OffsetRange
from finkray.claim import TopicPartition
from finkray.intervals import IntervalSet
from finkray.storage.contract import StoredFile

CLAIM_COLUMNS = [
    *TopicPartition._fields,
    "first_offset",
    "last_offset",
    "files",
    "dead_letter_files",
    "resolved",
]
"""Columns that are needed of a claim with a finding."""

FILE_COLUMNS = ["files", "dead_letter_files"]
"""Columns that are needed of every claim."""

_BATCH_FILES = 65_536
_NOT_FOUND = -1

_ROUNDING = 1e-6
"""Sums of shares are inexact; the share of one row in a file is larger than this."""


class NamedFiles:
    """All files that claims name, for the comparison with the files that exist.

    An archive has millions of files, so only a 64-bit hash of each path is kept: with sizes and
    result about 40 bytes for each file. Among ten million paths two have the same hash in one
    archive of 400 000, and may then be confused.

    Parameters
    ----------
    claims
        in tables with the columns `FILE_COLUMNS`
    """

    def __init__(self, claims: Iterable[pa.Table]) -> None:
        keys, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        shares = [np.empty(0, np.float64)]
        for table in claims:
            files = _files_of(table)
            keys.append(_keys(files["path"]))
            sizes.append(files["size_bytes"].to_numpy())
            shares.append(files["share"].to_numpy())
        self._keys, first, numbers = np.unique(
            np.concatenate(keys), return_index=True, return_inverse=True
        )
        self._sizes = np.concatenate(sizes)[first]
        # 1 if the claims that name a file have each of its rows once.
        named = np.bincount(numbers, np.concatenate(shares), len(self._keys))
        self._named_twice = named > 1 + _ROUNDING
        self._named_in_part = named < 1 - _ROUNDING
        self._found_sizes = np.full(len(self._keys), _NOT_FOUND, np.int64)

    def look_for(self, files: Iterable[StoredFile]) -> Iterator[str]:
        """Note the existing files; yield the paths of those that no claim names."""
        rest = iter(files)
        while some := list(islice(rest, _BATCH_FILES)):
            paths, sizes = zip(*some, strict=True)
            at, known = self._find(_keys(pa.array(paths, pa.string())))
            self._found_sizes[at[known]] = np.array(sizes, np.int64)[known]
            yield from compress(paths, ~known)

    @property
    def any_wrong(self) -> bool:
        """Whether there may be findings, after all existing files were passed to `look_for`."""
        return bool(np.any(self._wrong))

    def findings(self, claims: Iterable[pa.Table]) -> list[FileFinding]:
        """Return what is wrong, after all existing files were passed to `look_for`.

        Parameters
        ----------
        claims
            the same as before, with the columns `CLAIM_COLUMNS`
        """
        found: list[FileFinding] = []
        often: dict[str, list[FileFinding]] = {}
        for table in claims:
            files = _files_of(table)
            at, _ = self._find(_keys(files["path"]))
            wrong = np.flatnonzero(self._wrong[at])
            owners = files["claim"].take(wrong)
            rows = table.select(CLAIM_COLUMNS).drop_columns("files").take(owners).to_pylist()
            for file, claim, size, again, in_part in zip(
                files.take(wrong).to_pylist(),
                rows,
                self._found_sizes[at[wrong]].tolist(),
                self._named_twice[at[wrong]].tolist(),
                self._named_in_part[at[wrong]].tolist(),
                strict=True,
            ):
                if size == _NOT_FOUND:
                    found.append(_finding("missing", file, claim))
                elif size != file["size_bytes"]:
                    found.append(_finding("damaged", file, claim))
                elif in_part:
                    found.append(_finding("named in part", file, claim))
                if again:
                    often.setdefault(file["path"], []).append(_finding("named twice", file, claim))
        found.sort(key=lambda finding: finding.problem != "missing")
        return [*found, *(finding for same in often.values() if len(same) > 1 for finding in same)]

    @property
    def _wrong(self) -> npt.NDArray[np.bool_]:
        missing_or_damaged: npt.NDArray[np.bool_] = self._found_sizes != self._sizes
        return missing_or_damaged | self._named_twice | self._named_in_part

    def _find(
        self, keys: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the index of each key among the named files, and whether it is there."""
        if not len(self._keys):
            return np.zeros(len(keys), np.intp), np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return at, self._keys[at] == keys


def _keys(paths: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    # Imported here: readers of an archive do not need it.
    import polars as pl

    return pl.Series(values=paths).hash().to_numpy()


def _files_of(claims: pa.Table) -> pa.Table:
    """Return one row for each file that a claim names; `claim` is the row of the claim.

    `share` is the part of the file's rows that the claim has: 1 if it shares it with no other.
    """
    tables = []
    for name in ("files", "dead_letter_files"):
        column = claims[name].combine_chunks()
        files = pc.list_flatten(column)
        columns = {field: pc.struct_field(files, field) for field in ("path", "rows", "size_bytes")}
        share = pc.divide(columns["rows"].cast(pa.float64()), pc.struct_field(files, "file_rows"))
        columns["share"] = pc.fill_null(share, 1.0)
        columns["dead_letters"] = pa.repeat(pa.scalar(name == "dead_letter_files"), len(files))
        columns["claim"] = pc.list_parent_indices(column).cast(pa.int64())
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _finding(problem: FileProblem, file: dict[str, Any], claim: dict[str, Any]) -> FileFinding:
    return FileFinding(
        path=file["path"],
        problem=problem,
        rows=file["rows"] - _resolved_in(file["path"], claim),
        dead_letters=file["dead_letters"],
        claim=OffsetRange(**{name: claim[name] for name in OffsetRange.model_fields}),
    )


def _resolved_in(path: str, claim: dict[str, Any]) -> int:
    """Return how many rows of a file do not count because they are resolved dead letters."""
    spans = [(span["first_offset"], span["last_offset"]) for span in claim["resolved"] or ()]
    for file in claim["dead_letter_files"]:
        if file["path"] == path:
            resolved = IntervalSet(spans).overlaps(file["first_offset"], file["last_offset"])
            # The offsets of files of two days may be interleaved.
            return min(file["rows"], sum(span.size for span in resolved))
    return 0


@dataclass(frozen=True, slots=True)
class FileComparison:
    """The result of the comparison.

    Attributes
    ----------
    findings
        what is wrong
    unpublished
        number of files that are whole, but still in staging
    """

    findings: tuple[FileFinding, ...]
    unpublished: int = 0

    def gone(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """Return for each partition the alerts and the dead letters in missing or damaged files."""
        sums: dict[TopicPartition, tuple[int, int]] = {}
        for finding in self.findings:
            if finding.problem in ("missing", "damaged") and finding.claim is not None:
                source = finding.claim.claim.source
                alerts, dead = sums.get(source, (0, 0))
                sums[source] = (
                    alerts + finding.rows * (not finding.dead_letters),
                    dead + finding.rows * finding.dead_letters,
                )
        return sums
