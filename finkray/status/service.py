"""The snapshot of a service that runs live: the one source for `finkray status` and the page."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from finkray.status.archive import State

BreakerState = Literal["closed", "open", "half_open"]


class ServiceSnapshot(BaseModel):
    """All that a service says of itself at one moment. Times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    name: str = Field(description="of the folder of its results")
    service: str
    version: str
    spec: str
    state: State
    started_at: datetime
    at: datetime
    actors: int = Field(0, description="how many are warm")
    actors_wanted: int = 0
    busy: int = 0
    waiting: int = Field(0, description="alerts that are durable and have no result yet")
    waiting_more: bool = Field(default=False, description="and more that were not looked at yet")
    waiting_for_inputs: int = Field(0, description="alerts that wait for results of other services")
    behind_s: float = Field(0.0, description="age of the oldest claim without results")
    alerts_per_s: float = 0.0
    alerts_per_s_a_core: float = Field(0.0, description="alerts for each second of CPU in process")
    batch_p50_s: float = 0.0
    batch_p99_s: float = 0.0
    latency_p50_s: float = Field(0.0, description="from the Kafka timestamp until durable")
    latency_p95_s: float = 0.0
    latency_p99_s: float = 0.0
    memory_bytes: int = Field(0, description="most that one process had of its own lately")
    by_status: dict[str, int] = Field({}, description="rows written since it was started")
    results: int = Field(0, description="rows in the store, of all time")
    breaker: BreakerState = "closed"
    breaker_opened: int = 0
    last_fault: str = ""
    faults: dict[str, int] = Field({}, description="batches without any answer, by fault")


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)
