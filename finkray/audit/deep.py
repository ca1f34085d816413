"""The deep audit: open files and check that each offset of a claim is there, once.

It also reads the files of the schemas that these alerts have.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.audit.report import TWICE, DeepFinding, DeepReport, OffsetRange
from finkray.claim import Claim, ClaimResult, DataFile
from finkray.ledger.file_claims import NO_FINGERPRINT
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, span_of
from finkray.storage.layout import parse_path, schema_path
from finkray.storage.parquet import crc32_of, read_every_column
from finkray.storage.schemas import schema_problem

_OFFSETS = re.compile(r"(?P<topic>[^:]+):(?P<partition>\d+):(?P<first>\d+)-(?P<last>\d+)")

GRAMMAR = (
    "`all`, a UTC day as 2026-11-24, an hour as 2026-11-24T01, `A..B` of days, hours or times, "
    "or `topic:partition:first-last`"
)
"""The syntax of a range, for people."""

_BATCH_CLAIMS = 1024

DAMAGED = "is damaged: its bytes differ from the checksum in the ledger"

SCHEMA_PROBLEMS = {
    "missing": "is missing: alerts of this claim have this schema",
    "damaged": "is damaged: its content differs from the SHA-256 in its name",
}

_COMPARED = ["kafka_topic", "kafka_partition", "kafka_offset"]

Chooser = Callable[[ClaimResult], bool]


def chooser(text: str) -> Chooser:
    """Return the test for claims of a range: any file, or any offset, lies in it.

    Raises
    ------
    ValueError
        if the text is no range
    """
    if text == "all":
        return lambda _: True
    if offsets := _OFFSETS.fullmatch(text):
        first, last = int(offsets["first"]), int(offsets["last"])
        topic, partition = offsets["topic"], int(offsets["partition"])
        if last < first:
            raise ValueError(f"{text!r} ends before it begins")
        return lambda result: (
            (result.claim.source.topic, result.claim.source.partition) == (topic, partition)
            and result.claim.first_offset <= last
            and result.claim.last_offset >= first
        )
    try:
        span = span_of(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no range ({error}): expected {GRAMMAR}") from error

    def lies_in(result: ClaimResult) -> bool:
        for file in result.all_files:
            path = parse_path(file.path)
            if path is not None:
                length = timedelta(days=1) if path.fingerprint8 is None else HOUR
                if span.meets(path.hour_utc, path.hour_utc + length):
                    return True
        return False

    return lies_in


def look_into(storage: Storage, claims: Iterable[pa.Table], text: str) -> DeepReport:
    """Open the files of the claims of a range.

    Parameters
    ----------
    storage
        of the archive
    claims
        all claims, as `finkray.ledger.claims.claim_tables` returns them
    text
        the range

    Raises
    ------
    ValueError
        if the text is no range
    """
    is_chosen = chooser(text)
    count = files = rows = 0
    findings: list[DeepFinding] = []
    schemas: dict[str, OffsetRange] = {}
    files_read = _Files(storage)
    for batch in (
        batch for table in claims for batch in table.to_batches(max_chunksize=_BATCH_CLAIMS)
    ):
        for row in batch.to_pylist(maps_as_pydicts="strict"):
            result = ClaimResult.from_json(row)
            if is_chosen(result):
                in_claim = _look_into_claim(files_read, result)
                findings += in_claim.findings
                for fingerprint in {str(file.schema_fingerprint) for file in result.files}:
                    schemas.setdefault(fingerprint, _range_of(result.claim))
                rows += in_claim.rows
                # The first claim of a file that several share counts it.
                files += sum(file.first_row == 0 for file in result.all_files)
                count += 1
    findings += _wrong_schemas(storage, schemas)
    return DeepReport(range=text, claims=count, files=files, rows=rows, findings=tuple(findings))


def _wrong_schemas(storage: Storage, schemas: Mapping[str, OffsetRange]) -> Iterator[DeepFinding]:
    """Yield a finding for each schema file that is missing or damaged.

    Parameters
    ----------
    storage
        of the archive
    schemas
        by the fingerprint of a schema the first claim with alerts of it
    """
    for fingerprint, claim in schemas.items():
        problem = schema_problem(storage, fingerprint)
        if problem is not None and fingerprint != NO_FINGERPRINT:
            path, text = schema_path(fingerprint), SCHEMA_PROBLEMS[problem]
            yield DeepFinding(claim=claim, path=path, problem=text, offsets=0)


def _range_of(claim: Claim) -> OffsetRange:
    return OffsetRange.of(claim.source, claim.first_offset, claim.last_offset)


@dataclass(frozen=True, slots=True)
class _ClaimFindings:
    rows: int
    findings: list[DeepFinding]


def _look_into_claim(files: "_Files", result: ClaimResult) -> _ClaimFindings:
    claim = result.claim
    claim_range = _range_of(claim)
    findings: list[DeepFinding] = []
    alerts: list[npt.NDArray[np.int64]] = []
    letters: list[npt.NDArray[np.int64]] = []
    unread = False
    for file in result.all_files:
        try:
            table, damaged = files.read(file)
        except (OSError, pa.ArrowException) as error:
            problem = f"cannot be read: {error}"
            findings.append(
                DeepFinding(claim=claim_range, path=file.path, problem=problem, offsets=file.rows)
            )
            unread = True
            continue
        if damaged:
            findings.append(
                DeepFinding(claim=claim_range, path=file.path, problem=DAMAGED, offsets=file.rows)
            )
        offsets = table["kafka_offset"].to_numpy()
        (letters if file in result.dead_letter_files else alerts).append(offsets)
        findings += [
            DeepFinding(claim=claim_range, path=file.path, problem=problem, offsets=number)
            for problem, number in _wrong_in_file(result, file, table, offsets)
        ]
    archived, dead = _joined(alerts), _joined(letters)
    for problem, number in _wrong_in_claim(result, archived, dead, unread=unread):
        findings.append(DeepFinding(claim=claim_range, path=None, problem=problem, offsets=number))
    return _ClaimFindings(len(archived) + len(dead), findings)


def _joined(offsets: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *offsets])


class _FileContent(NamedTuple):
    """What is compared of a file, and whether its bytes are those that were written."""

    table: pa.Table
    damaged: bool


class _Files:
    """Reads what claims have in files; a file that claims share is read once for all of them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._shared: tuple[str, _FileContent] | None = None

    def read(self, file: DataFile) -> _FileContent:
        """Return what a claim has in a file; the rows of all claims if they are too many or few."""
        if not file.is_shared:
            return self._read(file)
        if self._shared is None or self._shared[0] != file.path:
            self._shared = file.path, self._read(file)
        table, damaged = self._shared[1]
        if len(table) == file.file_rows:
            table = table.slice(file.first_row, file.rows)
        return _FileContent(table, damaged)

    def _read(self, file: DataFile) -> _FileContent:
        with self._storage.open(file.path) as source:
            damaged = file.crc32 is not None and crc32_of(source) != file.crc32
            source.seek(0)
            parquet = pq.ParquetFile(source)
            if file.crc32 is None:
                # Of a file that is older than checksums, at least every column must be readable.
                read_every_column(parquet)
            return _FileContent(parquet.read(columns=_COMPARED), damaged)


def _wrong_in_file(
    result: ClaimResult, file: DataFile, table: pa.Table, offsets: npt.NDArray[np.int64]
) -> Iterator[tuple[str, int]]:
    source = result.claim.source
    if len(offsets) != file.rows:
        yield f"has {len(offsets)} rows, not {file.rows}", abs(len(offsets) - file.rows)
    foreign = pc.sum(
        pc.invert(
            pc.and_(
                pc.equal(table["kafka_topic"], source.topic),
                pc.equal(table["kafka_partition"], source.partition),
            )
        )
    ).as_py()
    if foreign:
        yield "rows of another topic or partition", foreign
    outside = int(np.count_nonzero((offsets < file.first_offset) | (offsets > file.last_offset)))
    if outside:
        yield f"offsets outside {file.first_offset}-{file.last_offset}", outside


def _wrong_in_claim(
    result: ClaimResult,
    archived: npt.NDArray[np.int64],
    dead: npt.NDArray[np.int64],
    *,
    unread: bool,
) -> Iterator[tuple[str, int]]:
    claim = result.claim
    gaps = _joined([np.arange(gap.first_offset, gap.last_offset + 1) for gap in result.gaps])
    expected = np.setdiff1d(np.arange(claim.first_offset, claim.last_offset + 1), gaps)
    # A resolved dead letter is in two files for good, and counts as the alert only.
    resolved = _joined([np.arange(span.first, span.last + 1) for span in result.resolved])
    got = np.concatenate([archived, dead[~np.isin(dead, resolved)]])
    if not unread and (strange := len(np.setdiff1d(resolved, dead))):
        yield "resolved offsets that are no dead letters", strange
    once, counts = np.unique(got, return_counts=True)
    if twice := int(np.count_nonzero(counts > 1)):
        yield TWICE, twice
    if extra := len(np.setdiff1d(once, expected)):
        yield "offsets that the ledger does not have there", extra
    # Offsets of a file that cannot be read are reported with the file.
    if not unread and (lacking := len(np.setdiff1d(expected, once))):
        yield "offsets that are in no file", lacking
