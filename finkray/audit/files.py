"""The ledger's files and those that are there, compared by the million."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

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
"""What is needed of a claim."""

_NAMED = pa.schema(
    [
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("size_bytes", pa.int64()),
        ("dead_letters", pa.bool_()),
        ("claim", pa.int64()),
    ]
)
_FOUND = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])

_BATCH_FILES = 65_536


def named_files(claims: pa.Table) -> pa.Table:
    """One row for each file that claims name; `claim` is the row of the claim.

    Parameters
    ----------
    claims
        with the columns `CLAIM_COLUMNS`
    """
    parts = []
    row = 0
    for batch in claims.to_batches():
        for name, dead_letters in (("files", False), ("dead_letter_files", True)):
            column = batch.column(name)
            parents = pc.list_parent_indices(column)
            files = pc.list_flatten(column)
            columns = [
                pc.struct_field(files, "path"),
                pc.struct_field(files, "rows"),
                pc.struct_field(files, "size_bytes"),
                pa.repeat(pa.scalar(dead_letters), len(files)),
                pc.add(parents.cast(pa.int64()), row),
            ]
            parts.append(pa.RecordBatch.from_arrays(columns, schema=_NAMED))
        row += len(batch)
    return pa.Table.from_batches(parts, _NAMED)


def found_files(files: Iterable[StoredFile]) -> pa.Table:
    """What is on disk, as a table; a million paths take less room so than as text of Python's."""
    rest = iter(files)
    batches = []
    while some := list(islice(rest, _BATCH_FILES)):
        paths, sizes = zip(*some, strict=True)
        batches.append(pa.record_batch([paths, sizes], schema=_FOUND))
    return pa.Table.from_batches(batches, _FOUND)


def compare_files(
    claims: pa.Table, named: pa.Table, found: pa.Table, committed_since: Collection[str]
) -> Iterator[FileFinding]:
    """Where the ledger and the disk differ.

    Parameters
    ----------
    claims
        of the ledger at a moment
    named
        their files, as `named_files` gives them
    found
        files that were there after that moment
    committed_since
        paths of files of claims that were committed after that moment
    """
    at = pc.index_in(named["path"], value_set=found["path"])
    size_there = found["size_bytes"].take(at)
    yield from _findings("missing", claims, named.filter(pc.is_null(at)))
    other_size = pc.fill_null(pc.not_equal(size_there, named["size_bytes"]), fill_value=False)
    yield from _findings("damaged", claims, named.filter(other_size))
    counts = pc.value_counts(named["path"])
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    yield from _findings(
        "named twice", claims, named.filter(pc.is_in(named["path"], value_set=twice))
    )
    strangers = found.filter(pc.invert(pc.is_in(found["path"], value_set=named["path"])))
    for path in sorted(set(strangers["path"].to_pylist()).difference(committed_since)):
        yield FileFinding(path=path, problem="stray")


def _findings(problem: FileProblem, claims: pa.Table, files: pa.Table) -> Iterator[FileFinding]:
    rows = claims.drop_columns("files").take(files["claim"]).to_pylist()
    for file, claim in zip(files.to_pylist(), rows, strict=True):
        yield FileFinding(
            path=file["path"],
            problem=problem,
            rows=file["rows"] - _resolved_in(file["path"], claim),
            dead_letters=file["dead_letters"],
            claim=OffsetRange(**{name: claim[name] for name in OffsetRange.model_fields}),
        )


def _resolved_in(path: str, claim: dict[str, Any]) -> int:
    """How many rows of a file do not count, being dead letters that were brought in."""
    spans = [(part["first_offset"], part["last_offset"]) for part in claim["resolved"] or ()]
    for file in claim["dead_letter_files"]:
        if file["path"] == path:
            there = IntervalSet(spans).overlaps(file["first_offset"], file["last_offset"])
            # Files of two days may have offsets between each other's.
            return min(file["rows"], sum(part.size for part in there))
    return 0


@dataclass(frozen=True, slots=True)
class FilesThere:
    """The outcome of the comparison.

    Attributes
    ----------
    findings
        what is wrong
    unpublished
        how many files are whole, but still in staging
    """

    findings: tuple[FileFinding, ...]
    unpublished: int = 0

    def gone(self) -> Mapping[TopicPartition, tuple[int, int]]:
        """For each partition the alerts and the dead letters that cannot be read."""
        sums: dict[TopicPartition, tuple[int, int]] = {}
        for found in self.findings:
            if found.problem in ("missing", "damaged") and found.claim is not None:
                source = found.claim.claim.source
                alerts, dead = sums.get(source, (0, 0))
                sums[source] = (
                    alerts + found.rows * (not found.dead_letters),
                    dead + found.rows * found.dead_letters,
                )
        return sums
