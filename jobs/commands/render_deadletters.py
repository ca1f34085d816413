"""`finkray deadletters` as a person reads it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from finkray.dead_letters.export import as_json
from finkray.redrive.resolve import Resolved
from finkray.text import bytes_text, count_text
from jobs.commands.deadletters import Count, Kind, Letter


def counts_table(counts: Mapping[Kind, Count]) -> RenderableType:
    """A line for each topic, day and reason."""
    if not counts:
        return Text("no dead letters")
    table = Table(box=None, pad_edge=False)
    for name in ("topic", "day (UTC)", "reason"):
        table.add_column(name)
    for name in ("dead", "resolved"):
        table.add_column(name, justify="right")
    for kind, number in counts.items():
        day = str(kind.day or "")
        table.add_row(kind.topic, day, kind.reason, *map(count_text, number))
    if len(counts) > 1:
        dead, resolved = (sum(column) for column in zip(*counts.values(), strict=True))
        table.add_row("all", "", "", count_text(dead), count_text(resolved), style="bold")
    return table


def counts_json(counts: Mapping[Kind, Count]) -> list[dict[str, Any]]:
    """The same for machines."""
    return [as_json({**kind._asdict(), **number._asdict()}) for kind, number in counts.items()]


def rows_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A line for each letter."""
    if not rows:
        return Text("no dead letters")
    table = Table(box=None, pad_edge=False)
    for name in ("topic", "partition", "offset", "time (UTC)", "reason", "size", "detail"):
        number = name in ("partition", "offset", "size")
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        stamp = row["kafka_timestamp"]
        table.add_row(
            row["kafka_topic"],
            str(row["kafka_partition"]),
            str(row["kafka_offset"]),
            "" if stamp is None else f"{stamp:%Y-%m-%d %H:%M:%S}",
            row["reason"] + (", resolved" if row["resolved"] else ""),
            bytes_text(row["size_bytes"]),
            # The detail may hold bytes of the packet.
            Text(row["detail"]),
        )
    return table


def letter_text(letter: Letter) -> RenderableType:
    """Everything about one."""
    return Group(*(Text(line) for line in _letter_lines(letter)))


def letter_json(letter: Letter) -> dict[str, Any]:
    """The same for machines."""
    return {
        **as_json(letter.about),
        "kept_bytes": letter.kept_bytes,
        "head": letter.head,
        **letter.look._asdict(),
        "alert_files": list(letter.alert_files),
    }


def _letter_lines(letter: Letter) -> Iterator[str]:
    about, look = letter.about, letter.look
    yield f"{about['kafka_topic']}[{about['kafka_partition']}] offset {about['kafka_offset']}"
    yield f"  cluster    {about['cluster_id']}"
    yield f"  topic id   {about['topic_id']}"
    stamp = about["kafka_timestamp"]
    yield f"  time       {'none' if stamp is None else stamp.isoformat()}"
    yield f"  reason     {about['reason']}"
    yield f"  detail     {about['detail']}"
    short = "" if letter.kept_bytes == about["size_bytes"] else f", {letter.kept_bytes} kept"
    yield f"  size       {about['size_bytes']} bytes{short}"
    yield f"  looks like {look.wire_format}" + (
        f" ({look.schema_name})" if look.schema_name else ""
    )
    if about["resolved"]:
        yield f"  resolved   its alert stands in {', '.join(letter.alert_files) or 'no file'}"
    elif look.now is None:
        yield "  now        it decodes: `finkray deadletters redrive` brings it in"
    elif look.now != about["detail"]:
        yield f"  now        {look.now}"
    if look.fields:
        yield "  what decodes of it:"
        yield from (f"    {name} = {value}" for name, value in _flat(look.fields))
    if letter.head:
        yield "  its first bytes:"
        yield from (f"    {line}" for line in letter.head)


def _flat(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def resolved_text(done: Resolved) -> RenderableType:
    """What became of the letters that were tried."""
    return Group(*(Text(line) for line in _resolved_lines(done)))


def resolved_json(done: Resolved) -> dict[str, Any]:
    """The same for machines."""
    return {
        "tried": done.tried,
        "alerts": done.alerts,
        "still_dead": dict(done.by_reason),
        "cut_short": done.cut_short,
        "unread": list(done.unread),
    }


def _resolved_lines(done: Resolved) -> Iterator[str]:
    yield f"{done.tried} dead letters tried: {done.alerts} are alerts of the archive now"
    for reason, number in sorted(done.by_reason.items()):
        yield f"{number} are dead still: {reason}"
    if done.cut_short:
        yield (
            f"of {done.cut_short} only the first bytes are kept (packets.dead_letter_bytes), and "
            "Kafka no longer holds them: ask the provider for a replay"
        )
