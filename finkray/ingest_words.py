"""What the driver and an ingest actor say to each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finkray.claim import Claim, TopicPartition

Lane = Literal["live", "backfill"]
"""`live`: the partition as it comes. `backfill`: what an archive that was away left behind."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Read `source` from `offset` on; its claims carry `generation`."""

    source: TopicPartition
    offset: int
    generation: int


@dataclass(frozen=True, slots=True)
class Published:
    """A claim whose batch is held, with what is needed to follow its alerts' latency.

    Attributes
    ----------
    kafka_s, polled_s
        per alert, seconds of Unix time; NaN where Kafka gave no timestamp
    """

    claim: Claim
    generation: int
    held_bytes: int
    raw_bytes: int
    kafka_s: np.ndarray
    polled_s: np.ndarray
    decoded_s: float


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
