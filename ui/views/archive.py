"""The archive's state as banner, alarm cards and figures, from one snapshot."""

from datetime import datetime
from typing import Final

from finkray.status.archive import Snapshot, State
from finkray.text import bytes_text, count_text, duration_text, rate_text, time_text
from ui.kit.elements import AlarmCard, Banner, Figure, Level
from ui.kit.reading import STALE_AFTER_S, Reading, failure_banner

START_HINT: Final = "no archive runs; start it with: finkray start archive"

STATE_LEVEL: Final[dict[State, Level]] = {
    "starting": "warn",
    "running": "good",
    "draining": "warn",
    "stopped": "quiet",
    "failed": "bad",
}
"""How the state of a job is marked, on pages and on the terminal."""

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
            ("it may have died; everything below is from its last report", *last_report),
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
    """Return the alarms, the oldest first."""
    return tuple(
        AlarmCard(
            alarm.code,
            f"{time_text(alarm.since)} ({duration_text((now - alarm.since).total_seconds())})",
            alarm.message,
            alarm.what_to_do,
        )
        for alarm in sorted(snapshot.alarms, key=lambda alarm: alarm.since)
    )


def figures(snapshot: Snapshot) -> tuple[Figure, ...]:
    """Return the six numbers that tell whether the archive is well."""
    difference = snapshot.balance.difference
    durable = next((stage for stage in snapshot.latency if stage.stage == "durable"), None)
    share = used_share(snapshot.held_bytes, snapshot.held_bytes_limit)
    return (
        Figure(
            "incoming",
            rate_text(snapshot.incoming_per_s),
            f"alerts/s · {bytes_text(snapshot.incoming_bytes_per_s)}/s",
        ),
        Figure("archiving", rate_text(snapshot.archived_per_s), "alerts/s made durable"),
        Figure("lag", count_text(snapshot.lag), _lag_note(snapshot)),
        Figure(
            "latency, p95",
            "-" if durable is None else duration_text(durable.p95_s),
            "Kafka timestamp to durable",
        ),
        Figure(
            "held",
            bytes_text(snapshot.held_bytes),
            f"of {bytes_text(snapshot.held_bytes_limit)} allowed",
            "warn" if share >= NEARLY_FULL else "quiet",
            share,
        ),
        Figure(
            "difference",
            count_text(difference),
            "every offset accounted for" if difference == 0 else "offsets not accounted for",
            "good" if difference == 0 else "bad",
        ),
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


def _lag_note(snapshot: Snapshot) -> str:
    note = "offsets in Kafka, not yet durable"
    return f"{note} · backlog {count_text(snapshot.backlog)}" if snapshot.backlog else note


def _last_report(snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    age_s = (now - snapshot.at).total_seconds()
    return (f"last report: {snapshot.state}, {time_text(snapshot.at)}, {duration_text(age_s)} ago",)
