"""The typed snapshot of a live service, which `finkray status`, the page and the metrics show."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from finkray.circuit_breaker import BreakerState
from finkray.status.archive import State


class ServiceSnapshot(BaseModel):
    """The state of a service at one moment. Times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    name: str = Field(description="name of the folder of its results")
    service: str
    version: str
    spec: str
    state: State
    started_at: datetime
    at: datetime
    actors: int = Field(0, description="workers that are warm")
    actors_wanted: int = 0
    busy: int = 0
    waiting: int = Field(0, description="alerts that are durable and have no result yet")
    waiting_more: bool = Field(default=False, description="whether more wait, not counted yet")
    waiting_for_inputs: int = Field(0, description="alerts that wait for results of other services")
    behind_s: float = Field(0.0, description="age of the oldest claim without results")
    alerts_per_s: float = 0.0
    alerts_per_s_a_core: float = Field(0.0, description="alerts per second of CPU in `process`")
    batch_p50_s: float = 0.0
    batch_p99_s: float = 0.0
    latency_p50_s: float = Field(0.0, description="from the Kafka timestamp until durable")
    latency_p95_s: float = 0.0
    latency_p99_s: float = 0.0
    memory_bytes: int = Field(0, description="largest memory of one child process lately")
    by_status: dict[str, int] = Field({}, description="rows written since the start, by status")
    results: int = Field(0, description="rows in the results store")
    breaker: BreakerState = "closed"
    breaker_opened: int = 0
    breaker_since: datetime | None = Field(
        None, description="since when the circuit breaker is not closed; null while it is"
    )
    last_fault: str = ""
    faults: dict[str, int] = Field({}, description="batches without a result, by fault")


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)
