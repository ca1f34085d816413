"""The archive's state as banner, alarm cards and figures, from one snapshot."""

from datetime import datetime
from typing import Final

from finkray.monitor.alarms import MOST_URGENT_FIRST
from finkray.status.archive import Snapshot, State
from finkray.text import bytes_text, count_text, duration_text, rate_text, time_text
from ui.kit.elements import AlarmCard, Banner, Figure, Level
from ui.kit.reading import STALE_AFTER_S, Reading, failure_banner

START_HINT: Final = "no archive runs; start it with: finkray start archive"

HANGS_HINT: Final = (
    "no alert is lost. finkray logs archive shows its log; if it stays silent: finkray stop "
    "archive, then finkray start archive"
)
"""The advice for an archive that does not report."""

STATE_LEVEL: Final[dict[State, Level]] = {
    "starting": "warn",
    "running": "good",
    "draining": "warn",
    "stopped": "quiet",
    "failed": "bad",
}
"""How the state of a job is marked, on pages and on the terminal."""

LATENCY_LINE_S: Final = 60.0
"""Latency that an archive should stay below: as long as Rubin itself may take to send an alert."""

KAFKA_UNREACHABLE: Final = "KAFKA_UNREACHABLE"
"""Code of the alarm during which nothing is known of what Kafka has."""

NEARLY_FULL: Final = 0.9
"""Share of its limit from which on held memory is marked: an actor is about to pause."""


def archive_banner(reading: Reading[Snapshot], now: datetime) -> Banner:
    """Say which state the archive is in, or why that is not known.

    An old snapshot is never shown as the present state: a process that was killed leaves
    a last snapshot that says "running".
    """
    snapshot = reading.value
    last_report = () if snapshot is None else _last_report(snapshot, now)
    failure = failure_banner(reading, now, "the status", last_report)
    if failure is not None:
        return failure
    if snapshot is None:
        return Banner("quiet", START_HINT)
    if snapshot.state == "stopped":
        return Banner("quiet", START_HINT, last_report, old=True)
    age_s = (now - snapshot.at).total_seconds()
    if snapshot.state != "failed" and age_s > STALE_AFTER_S:
        return Banner(
            "bad",
            f"no report from the archive for {duration_text(age_s)}",
            (
                "it hangs or has died; everything below is from its last report",
                *last_report,
                HANGS_HINT,
            ),
            len(snapshot.alarms),
            old=True,
        )
    up_s = (snapshot.at - snapshot.started_at).total_seconds()
    alarms = len(snapshot.alarms)
    return Banner(
        "bad" if alarms else STATE_LEVEL[snapshot.state],
        snapshot.state + (f", {alarms} alarm{'s' if alarms > 1 else ''}" if alarms else ""),
        (
            f"since {time_text(snapshot.started_at)} ({duration_text(up_s)})",
            f"as of {time_text(snapshot.at)} ({duration_text(age_s)} ago)",
        ),
        alarms,
    )


def alarm_cards(snapshot: Snapshot, now: datetime) -> tuple[AlarmCard, ...]:
    """Return the alarms, the most urgent first, of which the oldest."""
    urgency = {code: place for place, code in enumerate(MOST_URGENT_FIRST)}
    shown = sorted(snapshot.alarms, key=lambda a: (urgency.get(a.code, len(urgency)), a.since))
    return tuple(
        AlarmCard(
            alarm.code,
            f"{time_text(alarm.since)} ({duration_text((now - alarm.since).total_seconds())})",
            alarm.message,
            alarm.what_to_do,
        )
        for alarm in shown
    )


def kafka_away_since(snapshot: Snapshot) -> datetime | None:
    """Return since when Kafka does not answer the archive; None while it answers."""
    away = (alarm.since for alarm in snapshot.alarms if alarm.code == KAFKA_UNREACHABLE)
    return min(away, default=None)


def last_visit_banner(snapshot: Snapshot, now: datetime) -> Banner | None:
    """Say what the last visit was, and how fast its alerts became durable; None without a visit.

    Between visits all rates are 0 and tell nothing: this is the first thing to look at.
    """
    if not snapshot.visits:
        return None
    visit = snapshot.visits[0]
    details = [f"{count_text(visit.alerts)} alerts", f"{count_text(visit.detectors)} detectors"]
    if visit.last_arrival is not None:
        ago = duration_text((now - visit.last_arrival).total_seconds())
        details.append(f"last alert {time_text(visit.last_arrival)} ({ago} ago)")
    level: Level = "quiet"
    if visit.waiting:
        level = "warn"
        details.append(f"{count_text(visit.waiting)} of its alerts are not durable yet")
    elif visit.durable_s is not None:
        level = "good" if visit.durable_s <= LATENCY_LINE_S else "bad"
        side = "within" if level == "good" else "beyond"
        durable = duration_text(visit.durable_s)
        details.append(f"durable {durable} after it, {side} the line of {LATENCY_LINE_S:.0f} s")
    return Banner(level, f"last visit: {visit.survey} {visit.visit}", tuple(details))


def figures(snapshot: Snapshot) -> tuple[Figure, ...]:
    """Return the six numbers that tell whether the archive is well; unknown is never 0."""
    share = used_share(snapshot.held_bytes, snapshot.held_bytes_limit)
    return (
        Figure(
            "incoming",
            rate_text(snapshot.incoming_per_s),
            f"alerts/s · {bytes_text(snapshot.incoming_bytes_per_s)}/s",
        ),
        Figure("archiving", rate_text(snapshot.archived_per_s), "alerts/s made durable"),
        _lag(snapshot),
        _latency(snapshot),
        Figure(
            "held",
            bytes_text(snapshot.held_bytes),
            f"of {bytes_text(snapshot.held_bytes_limit)} allowed",
            "warn" if share >= NEARLY_FULL else "quiet",
            share,
        ),
        _difference(snapshot),
    )


def archive_facts(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """Return which archive this is, as pairs of a name and a value."""
    return (
        ("archive", snapshot.archive_uri),
        ("Kafka", snapshot.bootstrap_servers),
        ("epoch", str(snapshot.epoch)),
        ("version", snapshot.version),
    )


def used_share(used: float, limit: float) -> float:
    """Return the share of a limit that is used; 0 where there is no limit."""
    return used / limit if limit > 0 else 0.0


def _lag(snapshot: Snapshot) -> Figure:
    away = kafka_away_since(snapshot)
    if away is not None:
        note = f"since {time_text(away)}: Kafka does not answer"
        return Figure("lag", "unknown", note, "warn")
    ends = [partition.high_watermark for partition in snapshot.partitions]
    unknown = sum(end < 0 for end in ends)
    if unknown and unknown == len(ends):
        return Figure("lag", "unknown", "Kafka has not told the end of any partition yet", "warn")
    note = "offsets in Kafka, not yet durable"
    if snapshot.backlog:
        note += f" · backlog {count_text(snapshot.backlog)}"
    if unknown:
        note += f" · {unknown} of {len(ends)} partitions unknown"
    return Figure("lag", ("≥ " if unknown else "") + count_text(snapshot.lag), note)


def _latency(snapshot: Snapshot) -> Figure:
    durable = next((stage for stage in snapshot.latency if stage.stage == "durable"), None)
    note = f"Kafka timestamp to durable; the line is {LATENCY_LINE_S:.0f} s"
    if durable is None:
        return Figure("latency, p95", "unknown", "no alert became durable in the last minutes")
    level: Level = "good" if durable.p95_s <= LATENCY_LINE_S else "bad"
    share = min(1.0, used_share(durable.p95_s, LATENCY_LINE_S))
    return Figure("latency, p95", duration_text(durable.p95_s), note, level, share)


def _difference(snapshot: Snapshot) -> Figure:
    difference = snapshot.balance.difference
    if difference:  # a loss stays one, whether Kafka answers or not
        return Figure("difference", count_text(difference), "offsets not accounted for", "bad")
    away = kafka_away_since(snapshot)
    if away is not None:
        note = f"since {time_text(away)}; 0 of what was read before"
        return Figure("difference", "unknown", note, "warn")
    if not snapshot.balance.received:
        return Figure("difference", "unknown", "nothing was read from Kafka yet")
    return Figure("difference", "0", "every offset accounted for", "good")


def _last_report(snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    age_s = (now - snapshot.at).total_seconds()
    return (f"last report: {snapshot.state}, {time_text(snapshot.at)}, {duration_text(age_s)} ago",)
