"""Open the Kafka consumers of a lane reader, as its stage of fetching wants (`fetch_stages`)."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from finkray.ingest.bounded_consumer import BoundedConsumer
from finkray.ingest.budget import Budget
from finkray.ingest.fetch_stages import BOUNDED_S, FetchStages
from finkray.ingest.messages import LaneKind
from finkray.kafka.config import SMALL_FETCH_BYTES
from finkray.kafka.consumer import PartitionConsumer, assigned_consumer

STATISTICS_MS = 1000
"""How often the client says how much came from Kafka and what it unpacked to: 1 kB of JSON for each
partition, parsed in 10 us."""


BOUNDED_PARTS = 2
"""A bounded consumer may take this part of the memory of the actor: half."""


class Consumers:
    """Opens consumers, and knows whether they should be opened anew. Not thread-safe.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    queue_bytes, max_message_bytes
        see `finkray.kafka.consumer.assigned_consumer`
    memory_bytes
        how much memory a bounded consumer may take
    bounded_until_s
        until when consumers are bounded, see `FetchStages`
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        queue_bytes: int,
        max_message_bytes: int,
        memory_bytes: int,
        bounded_until_s: float,
    ) -> None:
        self._config = config
        self._queue_bytes = queue_bytes
        self._max_message_bytes = max_message_bytes
        self._memory_bytes = memory_bytes
        self._stages = FetchStages(bounded_until_s)
        self._bounded: list[BoundedConsumer] = []

    def open(self) -> PartitionConsumer:
        """Open a consumer."""
        if self._stages.stage == "bounded":
            consumer = BoundedConsumer(
                self._config,
                max_message_bytes=self._max_message_bytes,
                memory_bytes=self._memory_bytes,
                on_no_memory=lambda: self._stages.batch_ended_process(time.monotonic()),
            )
            self._bounded = [*(each for each in self._bounded if not each.closed), consumer]
            return consumer
        config = {
            **self._config,
            "statistics.interval.ms": STATISTICS_MS,
            "stats_cb": self._statistics(),
        }
        if self._stages.stage == "full":
            return assigned_consumer(
                config, queue_bytes=self._queue_bytes, max_message_bytes=self._max_message_bytes
            )
        small = {
            "fetch.message.max.bytes": SMALL_FETCH_BYTES,
            "fetch.max.bytes": SMALL_FETCH_BYTES,
        }
        # A fetch is never smaller than the client's largest message, which is checked here alone.
        return assigned_consumer(
            {**config, **small}, queue_bytes=self._queue_bytes, max_message_bytes=SMALL_FETCH_BYTES
        )

    def outdated(self) -> bool:
        """Return, once, whether consumers that are open should be opened anew."""
        all_read = all(consumer.all_read for consumer in self._bounded)
        return self._stages.advance(time.monotonic(), all_read=all_read)

    def _statistics(self) -> Callable[[str], None]:
        """Return a function that takes the statistics of one client."""
        fetched_before = unpacked_before = 0

        def note(text: str) -> None:
            nonlocal fetched_before, unpacked_before
            fetched, unpacked = fetched_and_unpacked(json.loads(text))
            self._stages.fetched(fetched - fetched_before, unpacked - unpacked_before)
            fetched_before, unpacked_before = fetched, unpacked

        return note


def consumers_of_lanes(
    config: Mapping[str, Any], budget: Budget, memory_bytes: int, *, bounded: bool
) -> dict[LaneKind, Consumers]:
    """Return those of each kind of lane, for an actor with this budget and bound of its memory."""
    queue_bytes: dict[LaneKind, int] = {
        "live": budget.queue_bytes,
        "backfill": budget.backfill_queue_bytes,
    }
    return {
        lane: Consumers(
            config,
            queue_bytes=queue_bytes[lane],
            max_message_bytes=budget.max_message_bytes,
            memory_bytes=memory_bytes // BOUNDED_PARTS,
            bounded_until_s=time.monotonic() + BOUNDED_S if bounded else float("-inf"),
        )
        for lane in queue_bytes
    }


def fetched_and_unpacked(statistics: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many bytes a client received from brokers, and how many its messages have."""
    fetched = sum(broker["rxbytes"] for broker in statistics["brokers"].values())
    unpacked = sum(
        partition["rxbytes"]
        for topic in statistics["topics"].values()
        for partition in topic["partitions"].values()
    )
    return fetched, unpacked
