"""Find dead letters: the files of the ledger that have some, and the selected rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.claim import ClaimResult, DataFile
from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA
from finkray.intervals import IntervalSet
from finkray.ledger.claims import read_claims
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA, schema_ids_waited_for
from finkray.storage.contract import Storage
from finkray.storage.hours import Span
from finkray.storage.layout import parse_path

_DAY = timedelta(days=1)
_BATCH_CLAIMS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selection of dead letters; by default all that are not resolved.

    Attributes
    ----------
    reasons, topics
        any of these; empty is all
    partition
        None is all
    first_offset, last_offset
        both included; None is without bound
    span
        of the messages' Kafka timestamps; without one, the day of the folder counts
    resolved
        whether resolved letters are included
    """

    reasons: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    span: Span = field(default_factory=Span)
    resolved: bool = False

    def wants_claim(self, result: ClaimResult) -> bool:
        """Return whether any dead letter of the claim may be selected."""
        claim = result.claim
        if not self.resolved:
            counted = {reason for reason, _ in result.dead_letters_by_reason}
            if not counted or (self.reasons and not self.reasons & counted):
                return False
        return (
            (not self.topics or claim.source.topic in self.topics)
            and self.partition in (None, claim.source.partition)
            and (self.first_offset is None or claim.last_offset >= self.first_offset)
            and (self.last_offset is None or claim.first_offset <= self.last_offset)
        )

    def wants_file(self, file: DataFile) -> bool:
        """Return whether any row of a dead-letter file may be selected, by its day."""
        path = parse_path(file.path)
        return path is None or self.span.meets(path.hour_utc, path.hour_utc + _DAY)

    def of(self, table: pa.Table) -> pa.Table:
        """Return the selected rows of a table with the columns that `letters` adds."""
        offset, stamp = pc.field("kafka_offset"), pc.field("kafka_timestamp")
        condition = pc.scalar(value=True)
        if self.reasons:
            condition &= pc.field("reason").isin(sorted(self.reasons))
        if not self.resolved:
            condition &= ~pc.field("resolved")
        if self.first_offset is not None:
            condition &= offset >= self.first_offset
        if self.last_offset is not None:
            condition &= offset <= self.last_offset
        if self.span.start is not None:
            condition &= (stamp >= pa.scalar(self.span.start, _STAMP)) | stamp.is_null()
        if self.span.end is not None:
            condition &= (stamp < pa.scalar(self.span.end, _STAMP)) | stamp.is_null()
        return table.filter(condition)


_STAMP = pa.timestamp("us", "UTC")


class ClaimLetters(NamedTuple):
    """Dead letters of one file of a claim, with the current claim.

    `table` has the requested columns, `day` (of the folder) and `resolved`.
    """

    result: ClaimResult
    table: pa.Table


class DeadLetters:
    """Reads the dead letters of an archive; needs no lease.

    Parameters
    ----------
    storage
        of the archive

    Attributes
    ----------
    unread
        files that `letters` could not read: not published yet, or missing
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.unread: list[str] = []

    def letters(
        self,
        selection: Selection,
        columns: Sequence[str] = tuple(DEAD_LETTER_SCHEMA.names),
        on_progress: Callable[[str], None] = lambda _: None,
        most_claims: int | None = None,
    ) -> Iterator[ClaimLetters]:
        """Yield the selected letters, file by file, in the order of their claims.

        Parameters
        ----------
        selection
            the letters
        columns
            of `DEAD_LETTER_SCHEMA`; `value` may be large
        on_progress
            receives the progress as text
        most_claims
            read only this many claims, the last ones with dead letters; None reads all

        Raises
        ------
        LedgerCorrupt
            if the ledger cannot be read
        """
        results = [result for result in self._claims() if selection.wants_claim(result)]
        results = results[-most_claims:] if most_claims else results
        for done, result in enumerate(results):
            on_progress(f"{done} of {len(results)} claims")
            for file in result.dead_letter_files:
                if not selection.wants_file(file):
                    continue
                table = self._read(result, file, columns)
                if table is not None and len(chosen := selection.of(table)):
                    yield ClaimLetters(result, chosen)

    def _claims(self) -> Iterator[ClaimResult]:
        claims = read_claims(self._storage)
        with_letters = claims.filter(pc.list_value_length(pc.field("dead_letter_files")) > 0)
        for batch in with_letters.to_batches(max_chunksize=_BATCH_CLAIMS):
            yield from map(ClaimResult.from_json, batch.to_pylist(maps_as_pydicts="strict"))

    def _read(self, result: ClaimResult, file: DataFile, columns: Sequence[str]) -> pa.Table | None:
        needed = {*columns, "kafka_offset", "kafka_timestamp", "reason"}
        names = [name for name in DEAD_LETTER_SCHEMA.names if name in needed]
        try:
            with self._storage.open(file.path) as source:
                table = pq.read_table(source, columns=names)
        except (OSError, pa.ArrowException):
            self.unread.append(file.path)
            return None
        for name in set(names).difference(table.column_names):  # older than the column
            nulls = pa.nulls(len(table), DEAD_LETTER_SCHEMA.field(name).type)
            table = table.append_column(name, nulls)
        path = parse_path(file.path)
        day = None if path is None else path.hour_utc.date()
        resolved = IntervalSet(result.resolved)
        offsets = table["kafka_offset"].to_pylist()
        return (
            table.select(names)
            .append_column("day", pa.array([day] * len(table), pa.date32()))
            .append_column("resolved", pa.array([n in resolved for n in offsets], pa.bool_()))
        )


def waiting_schema_ids(storage: Storage, most_claims: int = 100) -> set[int]:
    """Return the ids of the schemas that dead letters of the last such claims wait for."""
    selection = Selection(reasons=frozenset(WAITING_FOR_A_SCHEMA))
    letters = DeadLetters(storage).letters(selection, ["schema_id"], most_claims=most_claims)
    return {schema_id for found in letters for schema_id in schema_ids_waited_for(found.table)}
