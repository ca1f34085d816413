"""Looks for partitions while the archive runs: ZTF opens a new topic each night."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finkray.claim import TopicPartition
from finkray.errors import FinkrayError
from finkray.ingest.kafka import KafkaCluster, Start
from finkray.ingest.lanes import Edges
from finkray.settings.model import KafkaSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """All partitions that there are now, and what Kafka has of those that are new.

    `new` has an entry for each partition the scout had not reported before; `error` says
    that Kafka did not answer, and then the other two are empty.
    """

    partitions: frozenset[TopicPartition]
    new: Mapping[TopicPartition, Edges]
    error: str | None = None


class Scout:
    """Asks Kafka every few seconds, in a thread of its own.

    Parameters
    ----------
    settings
        the `[kafka]` section
    new_archive
        whether the ledger knows no partition at all: only then the setting `start` counts;
        a topic that appears later is read from its beginning, lest its first alerts be lost
    tell
        gets each `Found`
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        new_archive: bool,
        tell: Callable[[Found], None],
    ) -> None:
        self._settings = settings
        self._kafka = KafkaCluster(settings.client_config())
        self._start: Start = settings.start if new_archive else "earliest"
        self._tell = tell
        self._known: set[TopicPartition] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout=1.0)  # it may be waiting for a Kafka that is away

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                found = self._look()
            except FinkrayError as error:
                found = Found(frozenset(), {}, str(error))
            self._tell(found)
            self._closing.wait(self._settings.refresh_s if found.error is None else 1.0)
        self._kafka.close()

    def _look(self) -> Found:
        partitions = frozenset(self._kafka.partitions(self._settings.wants))
        new = {source: self._edges(source) for source in sorted(partitions - self._known)}
        self._start = "earliest"
        self._known = set(partitions)
        return Found(partitions, new)

    def _edges(self, source: TopicPartition) -> Edges:
        marks = self._kafka.watermarks(source.topic, source.partition)
        if self._start == "earliest":
            return Edges(marks.low, marks.high)
        return Edges(self._kafka.start_offset(source, self._start), marks.high)
