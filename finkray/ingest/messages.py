"""What the driver and an ingest actor say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from finkray.claim import Claim, TopicPartition

LaneKind = Literal["live", "backfill"]
"""`live`: the partition as it comes. `backfill`: what an archive that was away left behind."""

NO_TIME_MS: Final = np.iinfo(np.int64).min
"""Stands for the Kafka timestamp of an alert that has none, or an absurd one."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Read `source` from `offset` on, to before `end_offset`; its claims carry `generation`."""

    source: TopicPartition
    offset: int
    generation: int
    end_offset: int | None = None

    @property
    def lane(self) -> LaneKind:
        """Only a live lane has no end."""
        return "live" if self.end_offset is None else "backfill"


@dataclass(frozen=True, slots=True)
class VisitCount:
    """Alerts of one visit in a claim.

    Attributes
    ----------
    survey
        name of the survey, as in `finkray.surveys`
    visit
        the survey's number of the exposure
    alerts
        how many there are
    detectors
        where in the camera they were seen
    first_ms, last_ms
        the first and the last Kafka timestamp among them, in ms of Unix time, or `NO_TIME_MS`
    """

    survey: str
    visit: int
    alerts: int
    detectors: tuple[int, ...]
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class ReadyClaim:
    """A claim whose batch is held, with what is needed to follow its alerts' latency.

    Attributes
    ----------
    kafka_s, polled_s
        per alert, seconds of Unix time; NaN where Kafka gave no timestamp
    visits
        whose alerts they are, see `finkray.ingest.visits`
    unknown_schemas
        ids of schemas for want of which messages of it are dead letters
    """

    claim: Claim
    generation: int
    held_bytes: int
    raw_bytes: int
    kafka_s: np.ndarray
    polled_s: np.ndarray
    decoded_s: float
    lane: LaneKind = "live"
    visits: tuple[VisitCount, ...] = ()
    unknown_schemas: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimsReceived:
    """How many claims the driver has heard of from this incarnation of an actor."""

    incarnation: str
    claims: int


NOTHING = ClaimsReceived("", 0)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an actor says of itself with each `take`."""

    incarnation: str
    node_id: str
    pid: int
    held_bytes: int
    claims_held: int
    messages: int
    message_bytes: int
    paused: bool
    flushed: bool
    high_watermarks: Mapping[TopicPartition, int]
    trouble: str
