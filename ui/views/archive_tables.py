"""The tables of the archive, from one snapshot."""

from collections.abc import Mapping, Sequence

from finkray.status.archive import (
    ActorStatus,
    BalanceSheet,
    MicroBatchStatus,
    PartitionStatus,
    PastAlarm,
    StageLatency,
    VisitStatus,
)
from finkray.text import (
    bytes_text,
    count_text,
    durable_text,
    duration_text,
    share_text,
    time_text,
)
from ui.kit.elements import Cell, Column, Level, Table
from ui.views.archive import NEARLY_FULL, used_share


def balance_table(sheet: BalanceSheet, *, kafka_away: bool = False) -> Table:
    """Return the balance sheet: offsets received, archived, dead-lettered and in gaps.

    Parameters
    ----------
    sheet
        The counts.
    kafka_away
        Whether Kafka does not answer: what it has is then unknown, and not 0.
    """
    unknown = {"waiting in Kafka"} if kafka_away else set()
    if kafka_away and not sheet.difference:
        unknown.add("difference")
    rows: tuple[tuple[str, int, Level], ...] = (
        ("received", sheet.received, "quiet"),
        ("archived", sheet.archived, "quiet"),
        ("dead-lettered", sheet.dead_lettered, "warn" if sheet.dead_lettered else "quiet"),
        ("gaps: expired upstream", sheet.expired, "warn" if sheet.expired else "quiet"),
        ("gaps: not delivered", sheet.not_delivered, "quiet"),
        ("gaps: unreadable", sheet.unreadable, "warn" if sheet.unreadable else "quiet"),
        ("difference", sheet.difference, "good" if sheet.difference == 0 else "bad"),
        ("waiting in Kafka", sheet.waiting, "quiet"),
    )
    return Table(
        "balance sheet",
        (Column("offsets"), Column("count", number=True)),
        tuple(
            (Cell(name, "warn"), Cell("unknown", "warn"))
            if name in unknown
            else (Cell(name, level), Cell(count_text(count), level))
            for name, count, level in rows
        ),
        "",
    )


def latency_table(stages: Sequence[StageLatency]) -> Table:
    """Return the time from the Kafka timestamp until each stage."""
    return Table(
        "latency since the Kafka timestamp",
        (
            Column("until"),
            *(Column(name, number=True) for name in ("p50", "p95", "p99", "alerts")),
        ),
        tuple(
            (
                Cell(stage.stage),
                Cell(duration_text(stage.p50_s)),
                Cell(duration_text(stage.p95_s)),
                Cell(duration_text(stage.p99_s)),
                Cell(count_text(stage.alerts)),
            )
            for stage in stages
        ),
        "no alert in the last minutes",
    )


def dead_letters_table(count_by_reason: Mapping[str, int]) -> Table:
    """Return the dead letters by reason, the most frequent first."""
    reasons = sorted(count_by_reason.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        "dead letters",
        (Column("reason"), Column("count", number=True)),
        tuple((Cell(reason), Cell(count_text(count))) for reason, count in reasons),
        "none",
    )


def micro_batches_table(batch: MicroBatchStatus | None) -> Table:
    """Return the micro-batches of the streaming query."""
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
        (Column(""), Column("", number=True)),
        tuple((Cell(name), Cell(value)) for name, value in rows),
        "none yet",
    )


def actors_table(actors: Sequence[ActorStatus]) -> Table:
    """Return the ingest actors, with the bytes that each holds and its limit."""
    return Table(
        "ingest actors",
        (
            Column("actor"),
            Column("held", number=True),
            Column("limit", number=True),
            Column("used", number=True),
            Column("claims", number=True),
            Column("state"),
            Column("restarts", number=True),
            Column("node"),
            Column("pid", number=True, detail=True),
        ),
        tuple(_actor_row(actor) for actor in actors),
        "no ingest actor",
    )


def visits_table(visits: Sequence[VisitStatus], limit: int | None = None) -> Table:
    """Return the last visits, the latest first; at most `limit` of them."""
    return Table(
        "the last visits",
        (
            Column("visit"),
            Column("survey"),
            Column("alerts", number=True),
            Column("detectors", number=True),
            Column("first arrival"),
            Column("last after", number=True),
            Column("durable after", number=True),
        ),
        tuple(
            (
                Cell(str(visit.visit)),
                Cell(visit.survey),
                Cell(count_text(visit.alerts)),
                Cell(count_text(visit.detectors)),
                Cell(time_text(visit.first_arrival) if visit.first_arrival else "unknown"),
                Cell("unknown" if visit.spread_s is None else duration_text(visit.spread_s)),
                Cell(
                    durable_text(visit.waiting, visit.durable_s),
                    "warn" if visit.waiting else "quiet",
                ),
            )
            for visit in visits[:limit]
        ),
        "no visit since the archive started",
        "arrivals are Kafka timestamps; last after: the first arrival; durable after: the last one",
    )


def past_alarms_table(past: Sequence[PastAlarm], limit: int | None = None) -> Table:
    """Return the alarms that are over, the latest first; at most `limit` of them."""
    return Table(
        "alarms that are over",
        (
            Column("alarm"),
            Column("since"),
            Column("for", number=True),
            Column("message", prose=True),
        ),
        tuple(
            (
                Cell(alarm.code),
                Cell(time_text(alarm.since)),
                Cell(duration_text((alarm.until - alarm.since).total_seconds())),
                Cell(alarm.message),
            )
            for alarm in past[:limit]
        ),
        "none since the archive started",
    )


def partitions_table(partitions: Sequence[PartitionStatus], limit: int | None = None) -> Table:
    """Return the partitions, the largest lag first; at most `limit` of them."""
    ordered = sorted(
        partitions,
        key=lambda status: (-status.lag - status.backlog, status.topic, status.partition),
    )
    shown = ordered[:limit]
    return Table(
        "partitions"
        if len(shown) == len(ordered)
        else f"the {len(shown)} of {len(ordered)} partitions that lag most",
        (
            Column("topic"),
            Column("partition", number=True),
            Column("lag", number=True),
            Column("backlog", number=True),
            Column("durable up to", number=True),
            Column("end in Kafka", number=True),
            Column("actor"),
        ),
        tuple(
            (
                Cell(status.topic),
                Cell(str(status.partition)),
                Cell(_unless_unknown(status.lag, status.high_watermark)),
                Cell(count_text(status.backlog)),
                Cell(count_text(status.frontier)),
                Cell(_unless_unknown(status.high_watermark, status.high_watermark)),
                Cell(status.actor) if status.actor else Cell("unassigned", "warn"),
            )
            for status in shown
        ),
        "no partition assigned yet",
    )


def _actor_row(actor: ActorStatus) -> tuple[Cell, ...]:
    share = used_share(actor.held_bytes, actor.held_bytes_limit)
    level: Level = "warn" if share >= NEARLY_FULL else "quiet"
    return (
        Cell(actor.name),
        Cell(bytes_text(actor.held_bytes), level),
        Cell(bytes_text(actor.held_bytes_limit)),
        Cell(share_text(actor.held_bytes, actor.held_bytes_limit), level),
        Cell(count_text(actor.claims_held)),
        Cell("paused", "warn") if actor.paused else Cell("polling"),
        Cell(count_text(actor.restarts), "warn" if actor.restarts else "quiet"),
        Cell(actor.node_id[:8]),
        Cell(str(actor.pid)),
    )


def _unless_unknown(value: int, high_watermark: int) -> str:
    return "unknown" if high_watermark < 0 else count_text(value)
