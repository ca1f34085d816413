"""The typed snapshot of the archive, which `finkray status`, the page and the metrics show."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["starting", "running", "draining", "stopped", "failed"]
Stage = Literal["polled", "decoded", "durable"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartitionStatus(_Frozen):
    """The progress of one partition."""

    topic: str
    partition: int
    actor: str | None
    frontier: int = Field(description="first offset of the live lane that is not durable yet")
    high_watermark: int = Field(description="one past the last offset in Kafka; -1 while unknown")
    backlog: int = Field(0, description="offsets before the live lane that are not durable yet")

    @property
    def lag(self) -> int:
        """Offsets in Kafka from the frontier of the live lane on."""
        return max(0, self.high_watermark - self.frontier)


class ActorStatus(_Frozen):
    """One ingest actor."""

    name: str
    node_id: str
    pid: int
    held_bytes: int
    held_bytes_limit: int
    claims_held: int
    paused: bool
    restarts: int


class MicroBatchStatus(_Frozen):
    """The micro-batches of the Structured Streaming query."""

    batches: int
    last_claims: int
    last_rows: int
    last_duration_s: float
    p50_duration_s: float
    p95_duration_s: float
    writer_node_ids: tuple[str, ...] = Field(
        (), description="Ray nodes on which tasks have written"
    )


class StageLatency(_Frozen):
    """Time from the Kafka timestamp until an alert reached a stage, over the last minutes.

    Alerts of backfills do not count: they waited in Kafka while the archive was stopped.
    """

    stage: Stage
    alerts: int
    p50_s: float
    p95_s: float
    p99_s: float


class VisitStatus(_Frozen):
    """One exposure of a telescope and its alerts. Arrivals are Kafka's timestamps."""

    survey: str
    visit: int = Field(description="LSST: visit; ZTF: the night and fraction of the day in pid")
    alerts: int = Field(description="alerts decoded since the archive started")
    waiting: int = Field(description="alerts of these that are not durable yet")
    detectors: int = Field(description="how many detectors (ZTF: readout channels) have alerts")
    first_arrival: datetime | None
    last_arrival: datetime | None
    durable_s: float | None = Field(
        description="seconds from the last arrival until all alerts were durable; null until then"
    )

    @property
    def spread_s(self) -> float | None:
        """Seconds from the first arrival to the last."""
        if self.first_arrival is None or self.last_arrival is None:
            return None
        return (self.last_arrival - self.first_arrival).total_seconds()


class BalanceSheet(_Frozen):
    """received = archived + dead_lettered + expired + not_delivered + unreadable + difference.

    Counts all offsets up to each partition's end in the ledger, except those of a backfill that are
    not archived yet; `waiting` counts these, and the offsets in Kafka beyond the end.
    """

    received: int = 0
    archived: int = 0
    dead_lettered: int = 0
    expired: int = 0
    not_delivered: int = 0
    unreadable: int = 0
    waiting: int = 0

    @property
    def difference(self) -> int:
        """Offsets that are not accounted for; any value but 0 raises an alarm."""
        in_gaps = self.expired + self.not_delivered + self.unreadable
        return self.received - self.archived - self.dead_lettered - in_gaps


class Alarm(_Frozen):
    """A condition that the person on shift should know."""

    code: str
    since: datetime
    message: str
    what_to_do: str


class PastAlarm(_Frozen):
    """An alarm that is over, with its last message."""

    code: str
    since: datetime
    until: datetime
    message: str


class RatePoint(_Frozen):
    """One point of the curves: alerts/s read, alerts/s made durable, lag."""

    at: datetime
    incoming_per_s: float
    archived_per_s: float
    lag: int


class Snapshot(_Frozen):
    """The state of the archive at one moment. Times are UTC."""

    format: int = 1
    service: str = "archive"
    version: str
    state: State
    started_at: datetime
    at: datetime
    archive_uri: str
    bootstrap_servers: str
    epoch: int
    incoming_per_s: float = 0.0
    incoming_bytes_per_s: float = 0.0
    archived_per_s: float = 0.0
    lag: int = Field(0, description="offsets that the live lanes are behind Kafka")
    backlog: int = Field(0, description="offsets that the backfills have not archived yet")
    held_bytes: int = 0
    held_bytes_limit: int = 0
    balance: BalanceSheet = BalanceSheet()
    micro_batch: MicroBatchStatus | None = None
    latency: tuple[StageLatency, ...] = ()
    visits: tuple[VisitStatus, ...] = Field((), description="the latest visits, the latest first")
    dead_letters_by_reason: dict[str, int] = {}
    partitions: tuple[PartitionStatus, ...] = ()
    actors: tuple[ActorStatus, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    past_alarms: tuple[PastAlarm, ...] = Field(
        (), description="alarms of this run that are over, the latest first"
    )
    history: tuple[RatePoint, ...] = ()
