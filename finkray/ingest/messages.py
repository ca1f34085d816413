"""Messages between the driver and an ingest actor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from finkray.claim import Claim, TopicPartition

LaneKind = Literal["live", "backfill"]
"""`live`: the new messages of a partition. `backfill`: a backlog from before a start."""

NO_TIME_MS: Final = np.iinfo(np.int64).min
"""Stands for the Kafka timestamp of an alert that has none, or an absurd one."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """An order to read `source` from `offset` on, to before `end_offset`.

    The claims of the lane carry `generation`.
    """

    source: TopicPartition
    offset: int
    generation: int
    end_offset: int | None = None

    @property
    def lane(self) -> LaneKind:
        """Live or backfill: only a live lane has no end."""
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
        the detectors (ZTF: readout channels) of these alerts
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
    """A claim whose batch an ingest actor holds, with the times of its alerts.

    Attributes
    ----------
    kafka_s, polled_s
        for each message, seconds of Unix time; NaN where Kafka gave no timestamp or an absurd one
    visits
        the counts of its visits, see `finkray.ingest.visits`
    unknown_schemas
        ids of the schemas that its dead letters wait for
    write_cost
        see `finkray.packets.divide.write_cost`
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
    write_cost: int = 1


@dataclass(frozen=True, slots=True)
class ClaimsReceived:
    """How many ready claims the driver has received from this incarnation of an actor."""

    incarnation: str
    claims: int


NOTHING_RECEIVED = ClaimsReceived("", 0)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The state of an actor, sent with each reply to `take`.

    `trouble` is what Kafka's client reported; `storage_trouble` why the schemas of the archive's
    tables cannot be read or written; `unreadable` which record batches cannot be read;
    `held_back_s` which topics use more than their share of the memory, and for how long they have
    been read no further.
    """

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
    storage_trouble: str = ""
    unreadable: str = ""
    held_back_s: Mapping[str, float] = field(default_factory=dict)
