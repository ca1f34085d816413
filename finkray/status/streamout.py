"""The typed snapshot of streaming out, which `finkray status` and the metrics show."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FilterTrouble(BaseModel):
    """Why alerts were not judged or not sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    alerts: int
    named: tuple[str, ...] = Field((), description="some of them, by where they came from")


class FilterStatus(BaseModel):
    """What a published filter judged and sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    topic: str
    state: Literal["active", "paused", "retired"]
    alerts: int = Field(0, description="judged, of all time")
    passed: int = 0
    not_judged: int = 0
    sent: int = 0
    refused: int = Field(0, description="messages that were not sent")
    refused_lately: int = Field(0, description="those of the last hour")
    amendments: int = 0
    awaiting: int = Field(0, description="sent alerts that await an answer of a service")
    sent_per_s: float = 0.0
    latency_p50_s: float = Field(0.0, description="from durable to committed in Kafka")
    latency_p95_s: float = 0.0
    behind_s: float = Field(0.0, description="age of the oldest durable file it has not judged")
    fault: str = Field("", description="why it rests; empty if it does not")

    troubles: tuple[FilterTrouble, ...] = Field((), description="the most frequent ones")

    @property
    def pass_rate(self) -> float:
        """Share of the judged alerts that passed."""
        return self.passed / self.alerts if self.alerts else 0.0


class GroupLag(BaseModel):
    """How far a consumer group is behind in a topic of a filter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    topic: str
    lag: int = Field(description="offsets, commit markers among them")


class StreamoutSnapshot(BaseModel):
    """The state of streaming out at one moment. Times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    instance: str
    started_at: datetime
    at: datetime
    filters: tuple[FilterStatus, ...] = ()
    groups: tuple[GroupLag, ...] = ()
    problem: str = Field("", description="why nothing is sent; empty if nothing is wrong")
