"""What the page shows, worked out from one snapshot: pure functions, no Gradio, no HTML.

Every function takes facts and returns frozen values; `ui.html` turns those into markup.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import pandas as pd

from finkray.status import ActorStatus, Snapshot, State
from ui.words import bytes_text, count_text, duration_text, rate_text, time_text

Level = Literal["good", "warn", "bad", "quiet"]

START_HINT = "no archive runs; start it with: finkray start archive"

STALE_AFTER_S = 15.0
"""A running archive writes a snapshot every second or two: after this long it is not well."""

NEARLY_FULL = 0.9
"""From this share of its limit on, an actor's held bytes are marked: it is about to pause."""

_STATE_LEVEL: dict[State, Level] = {
    "starting": "warn",
    "running": "good",
    "draining": "warn",
    "stopped": "quiet",
    "failed": "bad",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What the page last heard, and when.

    `problem` says why nothing could be read; `snapshot` is then the last one that could.
    `read_at` is the time of the last answer, also of one that said "nothing".
    """

    snapshot: Snapshot | None
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


class Cell(NamedTuple):
    """One cell of a table. `number` aligns it to the right."""

    text: str
    level: Level = "quiet"
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; `empty` is said instead when there are no rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class AlarmCard:
    """One alarm in words."""

    code: str
    since: str
    message: str
    what_to_do: str


def banner(reading: Reading, now: datetime) -> Banner:
    """Say how the archive is, or why that is not known.

    An old snapshot is never shown as the state of now: a process that ended without a
    word leaves a last snapshot that says "running".
    """
    silence_s = (now - reading.read_at).total_seconds()
    if silence_s > STALE_AFTER_S:
        return Banner(
            "bad",
            f"no answer for {duration_text(silence_s)}",
            ("the status is asked for, and nothing comes back", *_last_word(reading.snapshot, now)),
            old=True,
        )
    if reading.problem is not None:
        return Banner(
            "bad",
            "the status cannot be read",
            (reading.problem, *_last_word(reading.snapshot, now)),
            old=True,
        )
    snapshot = reading.snapshot
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


def figures(snapshot: Snapshot) -> tuple[Figure, ...]:
    """The six numbers that answer "is it well?"."""
    difference = snapshot.balance.difference
    durable = next((stage for stage in snapshot.latency if stage.stage == "durable"), None)
    share = _share(snapshot.held_bytes, snapshot.held_bytes_limit)
    return (
        Figure(
            "incoming",
            rate_text(snapshot.incoming_per_s),
            f"alerts/s · {bytes_text(snapshot.incoming_bytes_per_s)}/s",
        ),
        Figure("archiving", rate_text(snapshot.archived_per_s), "alerts/s made durable"),
        Figure("lag", count_text(snapshot.lag), "offsets in Kafka, not yet durable"),
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


def latency(snapshot: Snapshot) -> Table:
    """Time from the Kafka timestamp until each stage."""
    return Table(
        "latency since the Kafka timestamp",
        ("until", "p50", "p95", "p99", "alerts"),
        tuple(
            (
                Cell(stage.stage),
                *(
                    Cell(duration_text(value_s), number=True)
                    for value_s in (stage.p50_s, stage.p95_s, stage.p99_s)
                ),
                Cell(count_text(stage.alerts), number=True),
            )
            for stage in snapshot.latency
        ),
        "no alert in the last minutes",
    )


def balance(snapshot: Snapshot) -> Table:
    """The balance sheet: what was received, and what became of it."""
    sheet = snapshot.balance
    parts: tuple[tuple[str, int, Level], ...] = (
        ("received", sheet.received, "quiet"),
        ("archived", sheet.archived, "quiet"),
        ("dead-lettered", sheet.dead_lettered, "warn" if sheet.dead_lettered else "quiet"),
        ("gaps: expired upstream", sheet.expired, "warn" if sheet.expired else "quiet"),
        ("gaps: not delivered", sheet.not_delivered, "quiet"),
        ("difference", sheet.difference, "good" if sheet.difference == 0 else "bad"),
    )
    return Table(
        "balance sheet",
        ("offsets", "count"),
        tuple(
            (Cell(name, level), Cell(count_text(count), level, number=True))
            for name, count, level in parts
        ),
        "",
        f"{count_text(sheet.waiting)} more wait in Kafka",
    )


def dead_letters(snapshot: Snapshot) -> Table:
    """Dead letters by reason, the most frequent first."""
    reasons = sorted(snapshot.dead_letters_by_reason.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        "dead letters",
        ("reason", "count"),
        tuple((Cell(reason), Cell(count_text(count), number=True)) for reason, count in reasons),
        "none",
    )


def micro_batches(snapshot: Snapshot) -> Table:
    """The micro-batches of the streaming query."""
    batch = snapshot.micro_batch
    rows = (
        ()
        if batch is None
        else (
            ("done", count_text(batch.batches)),
            ("last: claims", count_text(batch.last_claims)),
            ("last: alerts", count_text(batch.last_rows)),
            ("last: took", duration_text(batch.last_duration_s)),
            ("p50", duration_text(batch.p50_duration_s)),
            ("p95", duration_text(batch.p95_duration_s)),
        )
    )
    return Table(
        "micro-batches",
        ("", ""),
        tuple((Cell(name), Cell(value, number=True)) for name, value in rows),
        "none yet",
    )


def actors(snapshot: Snapshot) -> Table:
    """The ingest actors: what each holds against what it may hold."""
    return Table(
        "ingest actors",
        ("actor", "held", "limit", "used", "claims", "state", "restarts", "node", "pid"),
        tuple(_actor_row(actor) for actor in snapshot.actors),
        "no ingest actor",
    )


def partitions(snapshot: Snapshot) -> Table:
    """The partitions, the one that lags most first."""
    ordered = sorted(snapshot.partitions, key=lambda part: (-part.lag, part.topic, part.partition))
    return Table(
        "partitions",
        ("topic", "partition", "lag", "durable up to", "end in Kafka", "actor"),
        tuple(
            (
                Cell(part.topic),
                Cell(str(part.partition), number=True),
                Cell(_known(part.lag, part.high_watermark), number=True),
                Cell(count_text(part.frontier), number=True),
                Cell(_known(part.high_watermark, part.high_watermark), number=True),
                Cell(part.actor or "nobody", "quiet" if part.actor else "warn"),
            )
            for part in ordered
        ),
        "no partition assigned yet",
    )


def tables(snapshot: Snapshot) -> Sequence[Table]:
    """The small tables, in the order in which they are read."""
    return (
        balance(snapshot),
        latency(snapshot),
        dead_letters(snapshot),
        micro_batches(snapshot),
    )


def _actor_row(actor: ActorStatus) -> tuple[Cell, ...]:
    share = _share(actor.held_bytes, actor.held_bytes_limit)
    full: Level = "warn" if share >= NEARLY_FULL else "quiet"
    return (
        Cell(actor.name),
        Cell(bytes_text(actor.held_bytes), full, number=True),
        Cell(bytes_text(actor.held_bytes_limit), number=True),
        Cell(f"{share:.0%}", full, number=True),
        Cell(count_text(actor.claims_held), number=True),
        Cell("paused", "warn") if actor.paused else Cell("polling"),
        Cell(count_text(actor.restarts), "warn" if actor.restarts else "quiet", number=True),
        Cell(actor.node_id[:8]),
        Cell(str(actor.pid), number=True),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _known(value: int, high_watermark: int) -> str:
    return "unknown" if high_watermark < 0 else count_text(value)


def _last_word(snapshot: Snapshot | None, now: datetime) -> tuple[str, ...]:
    if snapshot is None:
        return ()
    age_s = (now - snapshot.at).total_seconds()
    return (f"last word: {snapshot.state}, {time_text(snapshot.at)}, {duration_text(age_s)} ago",)
