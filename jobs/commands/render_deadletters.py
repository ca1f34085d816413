"""Render the results of `finkray deadletters` as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from finkray.dead_letter_reason import DeadLetterReason
from finkray.dead_letters.export import as_json
from finkray.redrive.resolve import ResolveResult
from finkray.text import bytes_text, count_text
from jobs.commands.deadletters import Count, Letter, LetterGroup
from ui.kit.elements import Cell, Column, Table
from ui.kit.terminal import line_text, table_text


def counts_table(counts: Mapping[LetterGroup, Count]) -> RenderableType:
    """Return a table with a row for each topic, day and reason, and their sums."""
    rows = [
        (group.topic, str(group.day or ""), group.reason, *map(count_text, count))
        for group, count in counts.items()
    ]
    if len(rows) > 1:
        dead, resolved = (sum(column) for column in zip(*counts.values(), strict=True))
        rows.append(("all", "", "", count_text(dead), count_text(resolved)))
    return table_text(
        Table(
            "",
            (
                *(Column(name) for name in ("topic", "day (UTC)", "reason")),
                *(Column(name, number=True) for name in ("dead", "resolved")),
            ),
            tuple(tuple(map(Cell, row)) for row in rows),
            "no dead letters",
        )
    )


def counts_json(counts: Mapping[LetterGroup, Count]) -> list[dict[str, Any]]:
    """Return the counts as JSON."""
    return [as_json({**group._asdict(), **count._asdict()}) for group, count in counts.items()]


def rows_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return a table with a row for each dead letter."""
    return table_text(
        Table(
            "",
            (
                Column("topic"),
                Column("partition", number=True),
                Column("offset", number=True),
                Column("time (UTC)"),
                Column("reason"),
                Column("size", number=True),
                Column("detail", prose=True),
            ),
            tuple(tuple(map(Cell, _row(row))) for row in rows),
            "no dead letters",
        )
    )


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    timestamp = row["kafka_timestamp"]
    return (
        row["kafka_topic"],
        str(row["kafka_partition"]),
        str(row["kafka_offset"]),
        "" if timestamp is None else f"{timestamp:%Y-%m-%d %H:%M:%S}",
        row["reason"] + (", resolved" if row["resolved"] else ""),
        bytes_text(row["size_bytes"]),
        row["detail"],
    )


def letter_text(letter: Letter) -> RenderableType:
    """Return a dead letter with all that is known of it."""
    return Group(*map(line_text, _letter_lines(letter)))


def letter_json(letter: Letter) -> dict[str, Any]:
    """Return a dead letter as JSON."""
    return {
        **as_json(letter.row),
        "kept_bytes": letter.kept_bytes,
        "head": letter.head,
        **letter.inspection._asdict(),
        "alert_files": list(letter.alert_files),
    }


def _letter_lines(letter: Letter) -> Iterator[str]:
    row, inspection = letter.row, letter.inspection
    yield f"{row['kafka_topic']}[{row['kafka_partition']}] offset {row['kafka_offset']}"
    yield f"  cluster    {row['cluster_id']}"
    yield f"  topic id   {row['topic_id']}"
    timestamp = row["kafka_timestamp"]
    yield f"  time       {'none' if timestamp is None else timestamp.isoformat()}"
    yield f"  reason     {row['reason']}"
    yield f"  detail     {row['detail']}"
    kept = "" if letter.kept_bytes == row["size_bytes"] else f", {letter.kept_bytes} kept"
    yield f"  size       {row['size_bytes']} bytes{kept}"
    yield f"  looks like {inspection.wire_format}" + (
        f" ({inspection.schema_name})" if inspection.schema_name else ""
    )
    if row["resolved"]:
        yield f"  resolved   its alert is in {', '.join(letter.alert_files) or 'no file'}"
    elif inspection.now is None:
        yield "  now        it decodes: `finkray deadletters redrive` archives it"
    elif inspection.now != row["detail"]:
        yield f"  now        {inspection.now}"
    if inspection.fields:
        yield "  fields that decode:"
        yield from (f"    {name} = {value}" for name, value in _flat(inspection.fields))
    if letter.head:
        yield "  first bytes:"
        yield from (f"    {line}" for line in letter.head)


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def resolved_text(resolved: ResolveResult) -> RenderableType:
    """Return what a redrive of dead letters did."""
    return Group(*map(line_text, _resolved_lines(resolved)))


def resolved_json(resolved: ResolveResult) -> dict[str, Any]:
    """Return what a redrive of dead letters did, as JSON."""
    return {
        "tried": resolved.tried,
        "alerts": resolved.alerts,
        "still_dead": dict(resolved.by_reason),
        "cut_short": resolved.cut_short,
        "unread": list(resolved.unread),
    }


def _resolved_lines(resolved: ResolveResult) -> Iterator[str]:
    yield f"{resolved.tried} dead letters decoded again: {resolved.alerts} are archived as alerts"
    for reason, count in sorted(resolved.by_reason.items()):
        yield f"{count} are still dead: {reason}"
    if DeadLetterReason.OTHER_COLUMNS in resolved.by_reason:
        yield (
            "a redrive archives other_columns only if the schemas that came first are taken out of "
            "the table; else `finkray deadletters export` writes the messages to files, and an "
            "archive in another folder takes them: see docs/archive.md"
        )
    if resolved.cut_short:
        yield (
            f"{resolved.cut_short} of them are kept with their first bytes only "
            "(packets.dead_letter_bytes), and Kafka no longer has them: "
            "ask the provider for a replay"
        )
