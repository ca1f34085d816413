"""Streaming out, as alarm cards, tables and a line, from its snapshot."""

from datetime import datetime
from typing import Final

from finkray.monitor.streamout_alarms import SILENT_S, streamout_alarms
from finkray.status.streamout import FilterStatus, StreamoutSnapshot
from finkray.text import count_text, duration_text, rate_text
from ui.kit.elements import AlarmCard, Cell, Column, Level, Table

_FILTER_COLUMNS: Final = (
    Column("filter"),
    Column("topic"),
    Column("state"),
    Column("judged", number=True),
    Column("pass rate", number=True),
    Column("not judged", number=True),
    Column("sent", number=True),
    Column("refused", number=True),
    Column("amendments", number=True),
    Column("sent/s", number=True),
    Column("latency p50", number=True),
    Column("latency p95", number=True),
    Column("behind", number=True),
)
_GROUP_COLUMNS: Final = (Column("consumer group"), Column("topic"), Column("lag", number=True))

_LEVELS: Final[dict[str, Level]] = {"active": "good", "paused": "quiet", "retired": "quiet"}


def streamout_cards(snapshot: StreamoutSnapshot, now: datetime) -> tuple[AlarmCard, ...]:
    """Return a card for each alarm of streaming out."""
    return tuple(
        AlarmCard(code=alarm.code, since="", message=alarm.message, what_to_do=alarm.what_to_do)
        for alarm in streamout_alarms(snapshot, now)
    )


def streamout_line(snapshot: StreamoutSnapshot, now: datetime) -> str:
    """Return how streaming out fares, in one line."""
    active = [each for each in snapshot.filters if each.state == "active"]
    silent_s = (now - snapshot.at).total_seconds()
    if silent_s > SILENT_S:
        return f"streamout: silent for {duration_text(silent_s)}"
    text = f"streamout: {len(active)} filters, {rate_text(sum(e.sent_per_s for e in active))} sent"
    if sending := [each for each in active if each.sent_per_s]:
        text += f", {duration_text(max(e.latency_p95_s for e in sending))} after durable (p95)"
    if behind_s := max((each.behind_s for each in active), default=0.0):
        text += f", {duration_text(behind_s)} behind"
    if resting := sum(each.fault != "" for each in active):
        text += f", {resting} rest"
    if snapshot.groups:
        worst = max(snapshot.groups, key=lambda each: each.lag)
        text += f"; {len(snapshot.groups)} consumer groups, {worst.group} lags {worst.lag:,}"
    return text


def filters_table(snapshot: StreamoutSnapshot) -> Table:
    """Return what each filter judged and sent."""
    return Table(
        "filters",
        _FILTER_COLUMNS,
        tuple(_row(each) for each in snapshot.filters),
        "none is published",
        "rates and latencies, from durable to sent, are of the last minute; behind: age of the "
        "oldest durable file that is not judged",
    )


def groups_table(snapshot: StreamoutSnapshot) -> Table:
    """Return how far each consumer group is behind."""
    rows = tuple(
        (Cell(each.group), Cell(each.topic), Cell(count_text(each.lag))) for each in snapshot.groups
    )
    return Table("subscribers", _GROUP_COLUMNS, rows, "no consumer group has committed offsets")


def _row(each: FilterStatus) -> tuple[Cell, ...]:
    state = Cell("rests", "bad") if each.fault else Cell(each.state, _LEVELS[each.state])
    return (
        Cell(each.name),
        Cell(each.topic),
        state,
        Cell(count_text(each.alerts)),
        Cell(f"{each.pass_rate:.2%}"),
        Cell(count_text(each.not_judged), "warn" if each.not_judged else "quiet"),
        Cell(count_text(each.sent)),
        Cell(count_text(each.refused), "warn" if each.refused else "quiet"),
        Cell(count_text(each.amendments)),
        Cell(rate_text(each.sent_per_s)),
        Cell(duration_text(each.latency_p50_s)),
        Cell(duration_text(each.latency_p95_s)),
        Cell(duration_text(each.behind_s)),
    )
