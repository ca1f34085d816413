"""What the archive got in each night and hour, by its ledger. Runs in the look-ups' process."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray.dead_letters.inspection import hex_head
from finkray.dead_letters.search import DeadLetters, Selection
from finkray.ledger.claims import read_claims
from finkray.reader import Archive
from ui.lookups.objects import storage_of
from ui.lookups.process import LookupRefused
from ui.lookups.records import MEAN_NIGHTS, Amount, Letter, NightsRecord, night_of

MOST_LETTERS: Final = 50
"""Dead letters that the page lists, the newest."""

_MOST_CLAIMS: Final = 50
_SHOWN_BYTES: Final = 256

_LETTER_COLUMNS: Final = (
    *("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp"),
    *("reason", "detail", "size_bytes", "value"),
)

_COLUMNS: Final = ("at", "topic", "files", "dead_letter_files", "dead_letters_by_reason")


def nights_record(archive: Archive, night: date | None) -> NightsRecord:
    """Return what the archive got in each night, and in the hours of one; None is the newest.

    Raises
    ------
    LedgerCorrupt
        The ledger cannot be read.
    """
    storage = storage_of(archive)
    claims = read_claims(storage, _COLUMNS)
    by_hour = _alerts_by_hour(claims)
    nights: dict[date, list[float]] = defaultdict(lambda: [0, 0, 0])
    for row in by_hour:
        sums = nights[night_of(row["hour"])]
        for number, name in enumerate(("rows", "bytes", "files")):
            sums[number] += row[name]
    letters, reasons = _dead_letters(claims)
    amounts = {
        each: _amount(nights[each], letters[each])
        for each in sorted(nights.keys() | letters.keys(), reverse=True)
    }
    newest = next((each for each, amount in amounts.items() if amount.alerts), None)
    chosen = night if night in amounts else newest
    hours = sorted(
        (row["hour"], row["topic"], row["rows"])
        for row in by_hour
        if night_of(row["hour"]) == chosen
    )
    last = [amount.size_bytes for amount in amounts.values() if amount.alerts][:MEAN_NIGHTS]
    return NightsRecord(
        tuple(amounts.items()),
        tuple(hours),
        storage.free_bytes(),
        sum(last) / len(last) if last else 0.0,
        tuple(reasons.most_common()),
    )


def newest_letters(archive: Archive) -> tuple[Letter, ...]:
    """Return the newest dead letters that are not resolved, the newest first.

    Raises
    ------
    LedgerCorrupt
        The ledger cannot be read.
    """
    columns = [name for name in _LETTER_COLUMNS if name != "value"]
    reader = DeadLetters(storage_of(archive))
    found = reader.letters(Selection(), columns, most_claims=_MOST_CLAIMS)
    letters = [_letter(row) for claim in found for row in claim.table.to_pylist()]
    return tuple(reversed(letters[-MOST_LETTERS:]))


def one_letter(archive: Archive, topic: str, partition: int, offset: int) -> Letter:
    """Return a dead letter with its first bytes.

    Raises
    ------
    LookupRefused
        There is none.
    """
    selection = Selection(
        topics=frozenset([topic]),
        partition=partition,
        first_offset=offset,
        last_offset=offset,
        resolved=True,
    )
    for claim in DeadLetters(storage_of(archive)).letters(selection, _LETTER_COLUMNS):
        for row in claim.table.to_pylist():
            return _letter(row)
    raise LookupRefused(f"there is no dead letter {topic}[{partition}] at {offset}", 404)


def _amount(sums: list[float], dead_letters: int) -> Amount:
    alerts, size_bytes, files = (round(value) for value in sums)
    return Amount(alerts, size_bytes, files, dead_letters)


def _letter(row: dict[str, Any]) -> Letter:
    return Letter(
        row["kafka_topic"],
        row["kafka_partition"],
        row["kafka_offset"],
        row["kafka_timestamp"],
        row["reason"],
        row["detail"] or "",
        row["size_bytes"] or 0,
        tuple(hex_head(row.get("value") or b"", _SHOWN_BYTES)),
    )


def _alerts_by_hour(claims: pa.Table) -> list[dict[str, Any]]:
    """Return rows, bytes and files of the alerts by topic and hour; of a shared file its share."""
    parts = []
    for batch in claims.select(["topic", "files"]).to_batches():
        lists = batch.column("files")
        files = lists.flatten()
        if not len(files):
            continue
        topics = batch.column("topic").take(pc.list_parent_indices(lists))
        rows = pc.struct_field(files, "rows")
        share = pc.divide(
            pc.cast(rows, pa.float64()), pc.coalesce(pc.struct_field(files, "file_rows"), rows)
        )
        parts.append(
            pa.table(
                {
                    "topic": topics,
                    "hour": pc.struct_field(files, "hour_utc"),
                    "rows": rows,
                    "bytes": pc.multiply(share, pc.struct_field(files, "size_bytes")),
                    "files": share,
                }
            )
        )
    if not parts:
        return []
    sums = [(name, "sum") for name in ("rows", "bytes", "files")]
    table = pa.concat_tables(parts).group_by(["topic", "hour"], use_threads=False).aggregate(sums)
    return [
        {
            "topic": row["topic"],
            "hour": datetime.fromisoformat(row["hour"]).astimezone(UTC),
            **{name: row[f"{name}_sum"] for name in ("rows", "bytes", "files")},
        }
        for row in table.to_pylist()
        if row["hour"]
    ]


def _dead_letters(claims: pa.Table) -> tuple[Counter[date], Counter[str]]:
    """Return the dead letters that are not resolved, by the night of their claim and by reason."""
    nights: Counter[date] = Counter()
    reasons: Counter[str] = Counter()
    with_letters = claims.filter(pc.list_value_length(pc.field("dead_letter_files")) > 0)
    rows: Iterable[dict[str, Any]] = with_letters.to_pylist(maps_as_pydicts="strict")
    for row in rows:
        night = night_of(row["at"])
        for reason, count in (row["dead_letters_by_reason"] or {}).items():
            nights[night] += count
            reasons[reason] += count
    return nights, reasons
