"""The tables of the page, worked out from one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from finkray.status.archive import ActorStatus, Snapshot
from finkray.text import bytes_text, count_text, durable_text, duration_text, time_text

Level = Literal["good", "warn", "bad", "quiet"]

NEARLY_FULL = 0.9
"""From this share of its limit on, an actor's held bytes are marked: it is about to pause."""


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


def visits(snapshot: Snapshot) -> Table:
    """The last exposures, the latest first."""
    return Table(
        "the last visits",
        ("visit", "survey", "alerts", "detectors", "first came", "last after", "durable after"),
        tuple(
            (
                Cell(str(visit.visit)),
                Cell(visit.survey),
                Cell(count_text(visit.alerts), number=True),
                Cell(count_text(visit.detectors), number=True),
                Cell(time_text(visit.first_arrival) if visit.first_arrival else "unknown"),
                Cell("-" if visit.spread_s is None else duration_text(visit.spread_s), number=True),
                Cell(
                    durable_text(visit.waiting, visit.durable_s),
                    "warn" if visit.waiting else "quiet",
                    number=True,
                ),
            )
            for visit in snapshot.visits
        ),
        "no visit since the archive started",
        "arrivals are Kafka's timestamps; durable after the last of them",
    )


def partitions(snapshot: Snapshot) -> Table:
    """The partitions, the one that lags most first."""
    ordered = sorted(
        snapshot.partitions,
        key=lambda part: (-part.lag - part.backlog, part.topic, part.partition),
    )
    return Table(
        "partitions",
        ("topic", "partition", "lag", "backlog", "durable up to", "end in Kafka", "actor"),
        tuple(
            (
                Cell(part.topic),
                Cell(str(part.partition), number=True),
                Cell(_known(part.lag, part.high_watermark), number=True),
                Cell(count_text(part.backlog), number=True),
                Cell(count_text(part.frontier), number=True),
                Cell(_known(part.high_watermark, part.high_watermark), number=True),
                Cell(part.actor or "nobody", "quiet" if part.actor else "warn"),
            )
            for part in ordered
        ),
        "no partition assigned yet",
    )


def small_tables(snapshot: Snapshot) -> Sequence[Table]:
    """The small tables, in the order in which they are read."""
    return (
        balance(snapshot),
        latency(snapshot),
        dead_letters(snapshot),
        micro_batches(snapshot),
    )


def _actor_row(actor: ActorStatus) -> tuple[Cell, ...]:
    share = used_share(actor.held_bytes, actor.held_bytes_limit)
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


def used_share(part: float, whole: float) -> float:
    """How much of a limit is used; 0 where there is none."""
    return part / whole if whole > 0 else 0.0


def _known(value: int, high_watermark: int) -> str:
    return "unknown" if high_watermark < 0 else count_text(value)
