"""`finkray deadletters`: search the dead letters of the archive, and redrive them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from finkray.claim import ClaimResult, TopicPartition
from finkray.dead_letters.export import export as export_to
from finkray.dead_letters.inspection import Inspection, hex_head, inspect_message
from finkray.dead_letters.search import DeadLetters, Selection
from finkray.errors import FinkrayError
from finkray.packets.message import RawMessage
from finkray.redrive.decoding import archive_decoder
from finkray.redrive.resolve import Resolver, ResolveResult
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.commands.audit import taken_over

Tell = Callable[[str], None]
T = TypeVar("T")

_COLUMNS = (
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "kafka_timestamp",
    "reason",
    "detail",
    "size_bytes",
    "schema_id",
)


class LetterGroup(NamedTuple):
    """Key of a count of dead letters: topic, day (UTC, of the folder) and reason."""

    topic: str
    day: date | None
    reason: str


class Count(NamedTuple):
    """Numbers of dead letters that remain, and of those that a redrive archived."""

    dead: int
    resolved: int


class SearchResult(NamedTuple, Generic[T]):
    """Result of a search, and the files that it could not read."""

    result: T
    unread: list[str]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and what an inspection of its bytes found.

    Attributes
    ----------
    row
        its row, without the bytes
    kept_bytes
        number of its bytes in the archive
    head
        its first bytes, as lines of a hex dump
    inspection
        its wire format, schema and the fields that decode
    alert_files
        files that contain its alert, if a redrive archived it
    """

    row: dict[str, Any]
    kept_bytes: int
    head: list[str]
    inspection: Inspection
    alert_files: tuple[str, ...]


def count(
    settings: Settings, selection: Selection, tell: Tell
) -> SearchResult[dict[LetterGroup, Count]]:
    """Count dead letters by topic, day and reason."""
    search = DeadLetters(archive_of(settings))
    dead: Counter[LetterGroup] = Counter()
    resolved: Counter[LetterGroup] = Counter()
    for result, table in search.letters(selection, ["reason"], tell):
        rows = zip(
            *(table[name].to_pylist() for name in ("day", "reason", "resolved")), strict=True
        )
        for day, reason, is_resolved in rows:
            group = LetterGroup(result.claim.source.topic, day, reason)
            (resolved if is_resolved else dead)[group] += 1
    groups = sorted(
        {*dead, *resolved}, key=lambda group: (group.topic, str(group.day), group.reason)
    )
    return SearchResult(
        {group: Count(dead[group], resolved[group]) for group in groups}, search.unread
    )


def rows(
    settings: Settings, selection: Selection, tell: Tell
) -> SearchResult[list[dict[str, Any]]]:
    """Return the rows of dead letters, without their bytes."""
    search = DeadLetters(archive_of(settings))
    selected = [
        row
        for _, table in search.letters(selection, _COLUMNS, tell)
        for row in table.select([*_COLUMNS, "resolved"]).to_pylist()
    ]
    return SearchResult(selected, search.unread)


def show(settings: Settings, topic: str, partition: int, offset: int) -> list[Letter]:
    """Return the dead letters at an offset; several if the topic was deleted and created again.

    Raises
    ------
    FinkrayError
        There is no dead letter at the offset.
    """
    storage = archive_of(settings)
    selection = Selection(
        topics=frozenset([topic]),
        partition=partition,
        first_offset=offset,
        last_offset=offset,
        resolved=True,
    )
    decoder = archive_decoder(settings, storage, read_only=True)
    search = DeadLetters(storage)
    letters = []
    for result, table in search.letters(selection):
        (row,) = table.to_pylist()
        value = row.pop("value")
        stamp = row["kafka_timestamp"]
        message = RawMessage(offset, None if stamp is None else int(stamp.timestamp() * 1e3), value)
        source = TopicPartition(row["cluster_id"], topic, row["topic_id"], partition)
        letters.append(
            Letter(
                row=row,
                kept_bytes=len(value or b""),
                head=hex_head(value or b""),
                inspection=inspect_message(message, source, decoder),
                alert_files=_alert_files(storage, result, offset) if row["resolved"] else (),
            )
        )
    if not letters:
        unread = f"; {len(search.unread)} files could not be read" if search.unread else ""
        raise FinkrayError(f"{topic}[{partition}] has no dead letter at offset {offset}{unread}")
    return letters


def export(settings: Settings, selection: Selection, target: Path, tell: Tell) -> SearchResult[int]:
    """Write dead letters to a folder or a Parquet file; return their number."""
    search = DeadLetters(archive_of(settings))
    return SearchResult(export_to(search, selection, target, tell), search.unread)


def redrive(settings: Settings, selection: Selection, tell: Tell) -> ResolveResult:
    """Redrive dead letters, as the only writer of the archive.

    Raises
    ------
    ArchiveHeld
        An archive runs on the folder: stop it first.
    """
    with taken_over(settings) as (storage, ledger):
        return Resolver(settings, storage, ledger).resolve(selection, tell)


def _alert_files(storage: Storage, result: ClaimResult, offset: int) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    paths = []
    for file in result.files:
        if file.first_offset <= offset <= file.last_offset:
            with storage.open(file.path) as source:
                offsets = pq.read_table(source, columns=["kafka_offset"])["kafka_offset"]
            if offset in offsets.slice(file.first_row, file.rows).to_pylist():
                paths.append(file.path)
    return tuple(paths)
