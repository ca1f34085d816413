"""What the page shows, worked out from one snapshot: pure functions, no Gradio, no HTML.

Every function takes facts and returns frozen values; `ui.html` turns those into markup.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import pandas as pd

from finkray.status.archive import Snapshot, State
from finkray.text import bytes_text, count_text, duration_text, rate_text, time_text
from ui.tables import NEARLY_FULL, Level, used_share

T = TypeVar("T")

START_HINT = "no archive runs; start it with: finkray start archive"

STALE_AFTER_S = 15.0
"""A running archive writes a snapshot every second or two: after this long it is not well."""

_STATE_LEVEL: dict[State, Level] = {
    "starting": "warn",
    "running": "good",
    "draining": "warn",
    "stopped": "quiet",
    "failed": "bad",
}


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What the page last heard of something, and when.

    `problem` says why nothing could be read; `snapshot` is then the last one that could.
    `read_at` is the time of the last answer, also of one that said "nothing".
    """

    snapshot: T | None
    read_at: datetime
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Banner:
    """The first thing to read: one headline, and after it how that is known.

    `old`: the rest of the page is not of now.
    """

    level: Level
    headline: str
    details: tuple[str, ...] = ()
    alarms: int = 0
    old: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One large number. `share` (0 to 1) draws a bar below it."""

    label: str
    value: str
    note: str = ""
    level: Level = "quiet"
    share: float | None = None


@dataclass(frozen=True, slots=True)
class AlarmCard:
    """One alarm in words."""

    code: str
    since: str
    message: str
    what_to_do: str


def unheard(
    reading: Reading[T], now: datetime, what: str = "it", last_word: tuple[str, ...] = ()
) -> Banner | None:
    """Say that what is known is not of now because nobody answers; None if that is not so."""
    silence_s = (now - reading.read_at).total_seconds()
    if silence_s > STALE_AFTER_S:
        headline = f"no answer for {duration_text(silence_s)}"
        silent = f"{what} is asked for, and nothing comes back"
        return Banner("bad", headline, (silent, *last_word), old=True)
    if reading.problem is not None:
        return Banner("bad", f"{what} cannot be read", (reading.problem, *last_word), old=True)
    return None


def banner(reading: Reading[Snapshot], now: datetime) -> Banner:
    """Say how the archive is, or why that is not known.

    An old snapshot is never shown as the state of now: a process that ended without a
    word leaves a last snapshot that says "running".
    """
    snapshot = reading.snapshot
    silent = unheard(reading, now, "the status", _last_word(snapshot, now))
    if silent is not None:
        return silent
    if snapshot is None:
        return Banner("quiet", START_HINT)
    if snapshot.state == "stopped":
        return Banner("quiet", START_HINT, _last_word(snapshot, now), old=True)
    age_s = (now - snapshot.at).total_seconds()
    if snapshot.state != "failed" and age_s > STALE_AFTER_S:
        return Banner(
            "bad",
            f"no word from the archive for {duration_text(age_s)}",
            (
                "it may have died; everything below is as it was then",
                *_last_word(snapshot, now),
            ),
            len(snapshot.alarms),
            old=True,
        )
    up_s = (snapshot.at - snapshot.started_at).total_seconds()
    alarms = len(snapshot.alarms)
    return Banner(
        "bad" if alarms else _STATE_LEVEL[snapshot.state],
        snapshot.state + (f", {alarms} alarm{'s' if alarms > 1 else ''}" if alarms else ""),
        (
            f"since {time_text(snapshot.started_at)} ({duration_text(up_s)})",
            f"as of {time_text(snapshot.at)}",
        ),
        alarms,
    )


def place(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """Which archive this is: pairs of a name and a value."""
    return (
        ("archive", snapshot.archive_uri),
        ("Kafka", snapshot.bootstrap_servers),
        ("epoch", str(snapshot.epoch)),
        ("version", snapshot.version),
    )


def _lag_note(snapshot: Snapshot) -> str:
    note = "offsets in Kafka, not yet durable"
    return f"{note} · backlog {count_text(snapshot.backlog)}" if snapshot.backlog else note


def figures(snapshot: Snapshot) -> tuple[Figure, ...]:
    """The six numbers that answer "is it well?"."""
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


def alarms(snapshot: Snapshot, now: datetime) -> tuple[AlarmCard, ...]:
    """The alarms, the oldest first."""
    return tuple(
        AlarmCard(
            alarm.code,
            f"{time_text(alarm.since)} ({duration_text((now - alarm.since).total_seconds())})",
            alarm.message,
            alarm.what_to_do,
        )
        for alarm in sorted(snapshot.alarms, key=lambda alarm: alarm.since)
    )


def curves(snapshot: Snapshot | None) -> pd.DataFrame:
    """The two rates over the snapshot's history.

    Returns
    -------
    pandas.DataFrame
        One row for each point of each curve: `minutes` (float, minutes before the
        snapshot, at most 0), `alerts_per_s` (float) and `curve` ("incoming" or "archiving").
        Minutes and not clock times, for the plot shows those in the browser's time zone
        while the rest of the page is in UTC. Without a history each curve has one point
        that is NaN: the plot takes its colours and its legend from the first data it gets.
    """
    points = (
        [
            (
                (point.at - snapshot.at).total_seconds() / 60,
                point.incoming_per_s,
                point.archived_per_s,
            )
            for point in snapshot.history
        ]
        if snapshot is not None and snapshot.history
        else [(0.0, math.nan, math.nan)]
    )
    wide = pd.DataFrame(points, columns=["minutes", "incoming", "archiving"], dtype="float64")
    return wide.melt("minutes", var_name="curve", value_name="alerts_per_s")


def _last_word(snapshot: Snapshot | None, now: datetime) -> tuple[str, ...]:
    if snapshot is None:
        return ()
    age_s = (now - snapshot.at).total_seconds()
    return (f"last word: {snapshot.state}, {time_text(snapshot.at)}, {duration_text(age_s)} ago",)
