"""Tells Kafka how far the archive is, for people who watch their group's lag there.

It happens beside the archive's own work and may fail, as it does where we may only read.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from finkray.claim import TopicPartition
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.kafka import KafkaSettings

PERIOD_S = 5.0
"""Kafka's own consumers commit as often."""


class GroupOffsetCommitter:
    """Commits frontiers as offsets of the group, at most every few seconds, in the background."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="courtesy")
        self._kafka: KafkaCluster | None = None
        self._running: Future[None] | None = None
        self._last_s = 0.0
        self._told: dict[TopicPartition, int] = {}

    def commit(self, frontiers: Mapping[TopicPartition, int], *, wait: bool = False) -> None:
        """Commit what has moved; with `wait`, at once and to the end."""
        busy = self._running is not None and not self._running.done()
        due = time.monotonic() - self._last_s >= PERIOD_S
        if not self._settings.commit_offsets or not (wait or (due and not busy)):
            return
        moved = {s: offset for s, offset in frontiers.items() if self._told.get(s) != offset}
        if not moved:
            return
        self._last_s = time.monotonic()
        self._told.update(moved)
        self._running = self._worker.submit(self._commit, moved)
        if wait:
            self._running.result()

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _commit(self, moved: Mapping[TopicPartition, int]) -> None:
        if self._kafka is None:
            self._kafka = KafkaCluster(self._settings.client_config())
        self._kafka.commit_offsets(self._settings.group_id, moved)
