"""Looks for partitions while the archive runs: ZTF opens a new topic each night."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from finkray.claim import TopicPartition
from finkray.driver.lanes import PartitionOffsets
from finkray.errors import FinkrayError
from finkray.kafka.cluster import KafkaCluster, Start
from finkray.settings.kafka import KafkaSettings

ASK_S = 10.0
"""For how long a look goes on asking about new partitions: as long as Kafka takes to say nothing of
a single one. What is left then is asked about in the next look."""

_NAMED = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DiscoveredPartitions:
    """All partitions that there are now, and what Kafka has of those that are new.

    Attributes
    ----------
    partitions
        all of them
    new
        an entry for each that the scout had not reported before and that can be read
    silent
        those that are new and can't be read yet, and why: they have no leader, say
    error
        why there was no look, and then the others are empty
    """

    partitions: frozenset[TopicPartition]
    new: Mapping[TopicPartition, PartitionOffsets]
    silent: Mapping[TopicPartition, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def trouble(self) -> str:
        """What the look met, in words; "" if all is well."""
        if self.error is not None or not self.silent:
            return self.error or ""
        first = sorted(self.silent.items())[:_NAMED]
        named = "; ".join(f"{at.topic}[{at.partition}]: {why}" for at, why in first)
        return f"{len(self.silent)} partitions can't be read yet: {named}"


class TopicDiscovery:
    """Asks Kafka every few seconds, in a thread of its own.

    Parameters
    ----------
    settings
        the `[kafka]` section
    new_archive
        whether the ledger knows no partition at all: only then the setting `start` counts, for
        what is there at the first look; a topic that appears later is read from its beginning,
        lest its first alerts be lost
    tell
        gets each `DiscoveredPartitions`
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        new_archive: bool,
        tell: Callable[[DiscoveredPartitions], None],
    ) -> None:
        self._settings = settings
        self._kafka = KafkaCluster(settings.client_config())
        self._new_archive = new_archive
        self._tell = tell
        self._there_first: frozenset[TopicPartition] | None = None
        self._known: frozenset[TopicPartition] = frozenset()
        self._silent: Collection[TopicPartition] = ()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(timeout=1.0)  # it may be waiting for a Kafka that is away

    def _run(self) -> None:
        while not self._closing.is_set():
            found = self._look_or_say_why_not()
            self._tell(found)
            self._closing.wait(1.0 if found.trouble else self._settings.refresh_s)
        self._kafka.close()

    def _look_or_say_why_not(self) -> DiscoveredPartitions:
        try:
            return self._look()
        except FinkrayError as error:
            return DiscoveredPartitions(frozenset(), {}, error=str(error))
        except Exception as error:
            # Without a scout nobody would find tomorrow's topic.
            log.warning("a look for topics failed", exc_info=True)
            return DiscoveredPartitions(
                frozenset(), {}, error=f"a look for topics failed: {error!r}"
            )

    def _look(self) -> DiscoveredPartitions:
        partitions = frozenset(self._kafka.partitions(self._settings.wants))
        if self._there_first is None:
            self._there_first = partitions
        new: dict[TopicPartition, PartitionOffsets] = {}
        silent: dict[TopicPartition, str] = {}
        until_s = time.monotonic() + ASK_S
        # Those of which nothing was heard come last, lest the others wait for them again and again.
        for source in sorted(partitions - self._known, key=lambda one: (one in self._silent, one)):
            if time.monotonic() >= until_s:
                silent[source] = "not asked about yet"
                continue
            try:
                new[source] = self._edges(source)
            except FinkrayError as error:
                silent[source] = str(error)
        self._silent = silent.keys()
        self._known = partitions - silent.keys()
        return DiscoveredPartitions(partitions, new, silent)

    def _edges(self, source: TopicPartition) -> PartitionOffsets:
        marks = self._kafka.watermarks(source.topic, source.partition)
        start = self._start_of(source)
        if start == "earliest":
            return PartitionOffsets(marks.low, marks.high)
        return PartitionOffsets(self._kafka.start_offset(source, start), marks.high)

    def _start_of(self, source: TopicPartition) -> Start:
        counts = self._new_archive and source in (self._there_first or ())
        return self._settings.start if counts else "earliest"
