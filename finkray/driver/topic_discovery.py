"""Discover topics and partitions while the archive runs: ZTF creates a new topic each night."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from finkray.claim import TopicPartition
from finkray.driver.lanes import PartitionOffsets
from finkray.errors import FinkrayError
from finkray.kafka.cluster import KafkaCluster, Start
from finkray.kafka.config import RENEW_CLIENT_S
from finkray.settings.kafka import KafkaSettings

QUERY_S = 10.0
"""How long one discovery queries the offsets of new partitions: as long as the time limit of a
query for a single partition. The next discovery queries the rest."""

_PARTITIONS_NAMED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiscoveredPartitions:
    """All partitions that exist now, and the offsets of new ones.

    Attributes
    ----------
    partitions
        all partitions of the wanted topics
    new
        offsets of each partition that was not reported before and that can be read
    unreadable
        new partitions that can't be read yet, and why: because they have no leader, for example
    error
        why the discovery failed; then the others are empty
    """

    partitions: frozenset[TopicPartition]
    new: Mapping[TopicPartition, PartitionOffsets]
    unreadable: Mapping[TopicPartition, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def trouble(self) -> str:
        """What went wrong, for people; "" if nothing did."""
        if self.error is not None or not self.unreadable:
            return self.error or ""
        first = sorted(self.unreadable.items())[:_PARTITIONS_NAMED]
        named = "; ".join(f"{source.topic}[{source.partition}]: {why}" for source, why in first)
        return f"{len(self.unreadable)} partitions can't be read yet: {named}"


class TopicDiscovery:
    """Lists the partitions in Kafka every few seconds, in a thread of its own.

    Parameters
    ----------
    settings
        the `[kafka]` section
    new_archive
        whether the ledger has no partition: only then the setting `start` applies, to partitions
        that exist at the first discovery. A topic that appears later is read from its beginning, so
        that its first alerts are not lost
    on_discovery
        called with each `DiscoveredPartitions`, from the thread
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        new_archive: bool,
        on_discovery: Callable[[DiscoveredPartitions], None],
    ) -> None:
        self._settings = settings
        self._kafka = KafkaCluster(settings.client_config())
        self._answered_at_s = time.monotonic()
        self._new_archive = new_archive
        self._on_discovery = on_discovery
        self._first_partitions: frozenset[TopicPartition] | None = None
        self._known: frozenset[TopicPartition] = frozenset()
        self._unreadable: Collection[TopicPartition] = ()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topic-discovery", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout=1.0)  # it may wait for a Kafka that is down

    def _run(self) -> None:
        while not self._closing.is_set():
            discovered = self._discover_or_report_error()
            self._on_discovery(discovered)
            self._closing.wait(1.0 if discovered.trouble else self._settings.refresh_s)
        self._kafka.close()

    def _discover_or_report_error(self) -> DiscoveredPartitions:
        try:
            if time.monotonic() - self._answered_at_s >= RENEW_CLIENT_S:
                self._renew_client()
            return self._discover()
        except FinkrayError as error:
            return DiscoveredPartitions(frozenset(), {}, error=str(error))
        except Exception as error:
            # The thread must survive: without it tomorrow's topic would not be found.
            log.warning("topic discovery failed, will retry", exc_info=True)
            return DiscoveredPartitions(frozenset(), {}, error=f"topic discovery failed: {error!r}")

    def _renew_client(self) -> None:
        log.info(
            "Kafka did not answer the topic discovery for %.0f s; connecting anew", RENEW_CLIENT_S
        )
        self._answered_at_s = time.monotonic()
        renewed = KafkaCluster(self._settings.client_config())
        self._kafka.close()
        self._kafka = renewed

    def _discover(self) -> DiscoveredPartitions:
        partitions = frozenset(self._kafka.partitions(self._settings.wants))
        if self._first_partitions is None:
            self._first_partitions = partitions
        new: dict[TopicPartition, PartitionOffsets] = {}
        unreadable: dict[TopicPartition, str] = {}
        until_s = time.monotonic() + QUERY_S
        # Partitions without an answer last time come last, so that they do not delay the others.
        unknown = partitions - self._known
        for source in sorted(unknown, key=lambda source: (source in self._unreadable, source)):
            if time.monotonic() >= until_s:
                unreadable[source] = "not queried yet"
                continue
            try:
                new[source] = self._offsets(source)
            except FinkrayError as error:
                unreadable[source] = str(error)
        self._answered_at_s = time.monotonic()
        self._unreadable = unreadable.keys()
        self._known = partitions - unreadable.keys()
        return DiscoveredPartitions(partitions, new, unreadable)

    def _offsets(self, source: TopicPartition) -> PartitionOffsets:
        marks = self._kafka.watermarks(source.topic, source.partition)
        start = self._start_of(source)
        if start == "earliest":
            return PartitionOffsets(marks.low, marks.high)
        return PartitionOffsets(self._kafka.start_offset(source, start), marks.high)

    def _start_of(self, source: TopicPartition) -> Start:
        applies = self._new_archive and source in (self._first_partitions or ())
        return self._settings.start if applies else "earliest"
