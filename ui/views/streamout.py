"""Describe streaming out by alarm cards, tables and a line, made from its snapshot."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from finkray.monitor.streamout_alarms import SILENT_S, streamout_alarms
from finkray.status.streamout import FilterStatus, StreamoutSnapshot
from finkray.text import count_text, duration_text, rate_text
from ui.kit.elements import AlarmCard, Banner, Cell, Column, Figure, Level, Table
from ui.kit.reading import Reading, failure_banner

if TYPE_CHECKING:  # this module loads Arrow, which `finkray status` does not need
    from finkray.streamout.published import PublishedFilter

STREAMOUT_HINT: Final = "nothing is sent; start it with: finkray start streamout"

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
_TROUBLE_COLUMNS: Final = (
    Column("filter"),
    Column("why", prose=True),
    Column("alerts", number=True),
    Column("for example", prose=True),
)
_PUBLISHED_COLUMNS: Final = (
    Column("filter"),
    Column("version"),
    Column("topic"),
    Column("projection"),
    Column("wire"),
    Column("most in an hour", number=True),
    Column("published"),
    Column("state"),
    Column("about", prose=True),
)

_LEVELS: Final[dict[str, Level]] = {"active": "good", "paused": "quiet", "retired": "quiet"}


def streamout_cards(snapshot: StreamoutSnapshot, now: datetime) -> tuple[AlarmCard, ...]:
    """Return a card for each alarm of streaming out."""
    return tuple(
        AlarmCard(code=alarm.code, since="", message=alarm.message, what_to_do=alarm.what_to_do)
        for alarm in streamout_alarms(snapshot, now)
    )


def streamout_banner(reading: Reading[StreamoutSnapshot], now: datetime) -> Banner:
    """Return whether alerts that pass filters are sent."""
    failure = failure_banner(reading, now, "the report of streaming out")
    if failure is not None:
        return failure
    snapshot = reading.value
    if snapshot is None:
        return Banner("quiet", STREAMOUT_HINT)
    alarms = len(streamout_alarms(snapshot, now))
    silent_s = (now - snapshot.at).total_seconds()
    if silent_s > SILENT_S:
        headline = f"no report from streaming out for {duration_text(silent_s)}"
        return Banner("bad", headline, alarms=alarms, old=True)
    if snapshot.problem:
        return Banner("bad", "nothing is sent", (snapshot.problem,), alarms)
    if not snapshot.filters:
        return Banner("quiet", "no filter is published")
    active = sum(each.state == "active" for each in snapshot.filters)
    level: Level = "bad" if alarms else "good"
    return Banner(level, f"{active} of {len(snapshot.filters)} filters are active", (), alarms)


def streamout_figures(snapshot: StreamoutSnapshot) -> tuple[Figure, ...]:
    """Return what is sent, how late, and what is not, as large numbers."""
    active = [each for each in snapshot.filters if each.state == "active"]
    slowest = max(active, key=lambda each: each.latency_p95_s, default=None)
    hindmost = max(active, key=lambda each: each.behind_s, default=None)
    lagging = max(snapshot.groups, key=lambda each: each.lag, default=None)
    refused = sum(each.refused_lately for each in active)
    return (
        Figure("sent a second", rate_text(sum(each.sent_per_s for each in active)), "last minute"),
        Figure(
            "durable to sent, p95",
            duration_text(slowest.latency_p95_s) if slowest else "-",
            slowest.name if slowest else "",
        ),
        Figure(
            "behind",
            duration_text(hindmost.behind_s) if hindmost else "-",
            hindmost.name if hindmost and hindmost.behind_s else "",
        ),
        Figure(
            "refused in the last hour", count_text(refused), level="warn" if refused else "quiet"
        ),
        Figure(
            "largest lag",
            count_text(lagging.lag) if lagging else "-",
            f"{lagging.group} in {lagging.topic}" if lagging else "no consumer group",
        ),
    )


def streamout_line(snapshot: StreamoutSnapshot, now: datetime) -> str:
    """Return the state of streaming out in one line."""
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


def troubles_table(snapshot: StreamoutSnapshot) -> Table:
    """Return why alerts were not judged or not sent, and why filters rest."""
    rests = (
        (Cell(each.name), Cell(f"rests: {each.fault}", "bad"), Cell(""), Cell(""))
        for each in snapshot.filters
        if each.fault
    )
    counted = (
        (
            Cell(each.name),
            Cell(trouble.reason),
            Cell(count_text(trouble.alerts)),
            Cell(", ".join(trouble.named)),
        )
        for each in snapshot.filters
        for trouble in each.troubles
    )
    return Table(
        "not judged, not sent",
        _TROUBLE_COLUMNS,
        (*rests, *counted),
        "every alert was judged, and what passed was sent",
        "of all time; for example: topic[partition]@offset",
    )


def published_table(filters: "Iterable[PublishedFilter]") -> Table:
    """Return the published filters, as they are stored."""
    rows = tuple(
        (
            Cell(each.name),
            Cell(each.definition.version),
            Cell(each.topic),
            Cell(each.projection.text),
            Cell(each.wire.value),
            Cell("default" if each.quota_per_h is None else count_text(each.quota_per_h)),
            Cell(f"{each.published_at:%Y-%m-%d %H:%M} UTC"),
            Cell(each.state, _LEVELS[each.state]),
            Cell(each.definition.about),
        )
        for each in filters
    )
    return Table(
        "published filters",
        _PUBLISHED_COLUMNS,
        rows,
        "none: finkray filter publish FILE --topic NAME",
    )


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
