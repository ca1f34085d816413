"""Commit the archive's frontiers as consumer-group offsets, for tools that watch a group's lag.

Nothing in finkray reads them. A commit may fail, as it does where the login may only read.
"""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from finkray.claim import TopicPartition
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.kafka import KafkaSettings
from finkray.text import error_text

PERIOD_S = 5.0
"""The default interval of Kafka's own consumers."""

log = logging.getLogger(__name__)


class GroupOffsetCommitter:
    """Commits frontiers as offsets of the group, at most every `PERIOD_S`, in the background."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="group-offsets")
        self._kafka: KafkaCluster | None = None
        self._running: Future[None] | None = None
        self._last_s = 0.0
        self._committed: dict[TopicPartition, int] = {}
        self._problem = ""

    def commit(self, frontiers: Mapping[TopicPartition, int], *, wait: bool = False) -> None:
        """Commit the frontiers that have moved; with `wait`, at once and synchronously."""
        busy = self._running is not None and not self._running.done()
        due = time.monotonic() - self._last_s >= PERIOD_S
        if not self._settings.commit_offsets or not (wait or (due and not busy)):
            return
        moved = {s: offset for s, offset in frontiers.items() if self._committed.get(s) != offset}
        if not moved:
            return
        self._last_s = time.monotonic()
        self._committed.update(moved)
        self._running = self._worker.submit(self._commit, moved)
        if wait:
            self._running.result()

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _commit(self, moved: Mapping[TopicPartition, int]) -> None:
        try:
            if self._kafka is None:
                self._kafka = KafkaCluster(self._settings.client_config())
            self._kafka.commit_offsets(self._settings.group_id, moved)
        except Exception as error:  # noqa: BLE001 - an archive does not end for what nothing needs
            before, self._problem = self._problem, error_text(error)
            if self._problem != before:  # once, not at each commit
                log.warning(
                    "offsets of group %s are not committed to Kafka; nothing depends on them: %s",
                    self._settings.group_id,
                    self._problem,
                )
