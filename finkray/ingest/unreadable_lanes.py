"""Pass record batches that cannot be read: decisions of `unreadable`, carried out with `probes`."""

import logging
import time
from collections.abc import Callable

from finkray.ingest.lane_consumer import PartitionKey
from finkray.ingest.probes import Probes
from finkray.ingest.unreadable import GiveUp, Probe, Skip, UnreadableBatches
from finkray.kafka.consumer import PartitionConsumer

log = logging.getLogger(__name__)


class UnreadableLanes:
    """The lanes that stand at a record batch that cannot be read. Not thread-safe, but for `texts`.

    Parameters
    ----------
    make_consumer
        opens a consumer as `finkray.kafka.consumer.assigned_consumer` does
    tries
        how often a batch is read before it is skipped
    """

    def __init__(self, make_consumer: Callable[[], PartitionConsumer], tries: int) -> None:
        self._batches = UnreadableBatches(tries)
        self._probes = Probes(make_consumer)

    @property
    def texts(self) -> dict[PartitionKey, str]:
        """What is wrong with the batches, for people; thread-safe."""
        return self._batches.texts

    def failed(self, key: PartitionKey, reported_offset: int, next_offset: int, why: str) -> None:
        """Take note that reading from `next_offset` on failed at the batch of that offset."""
        self._batches.failed(key, reported_offset, next_offset, why, time.monotonic())
        log.warning("%s[%d]: %s", *key, self.texts[key])

    def forget(self, key: PartitionKey) -> None:
        """Forget the batch of a partition: it was read, skipped, or is not to be read."""
        self._batches.forget(key)
        self._probes.stop(key)

    def searching(self, key: PartitionKey) -> bool:
        """Return whether the end of a batch of that partition is searched for."""
        return self._batches.searching(key)

    def search(self, key: PartitionKey, next_offset: int, end_offset: int) -> bool:
        """Return whether the batch is to be skipped; `skips` tells when its end is found."""
        return self._batches.search(key, next_offset, end_offset)

    def skips(self) -> list[Skip]:
        """Return the batches whose ends are found."""
        for key, answer in self._probes.answers():
            self._batches.answer(key, answer.failed_at)
        steps = self._batches.next_steps(time.monotonic())
        for step in steps:
            self._carry_out(step)
        return [step for step in steps if isinstance(step, Skip)]

    def due(self) -> list[PartitionKey]:
        """Return the partitions that are to be read again now."""
        return self._batches.due(time.monotonic())

    def _carry_out(self, step: Probe | Skip | GiveUp) -> None:
        match step:
            case Probe(key, offset):
                self._probes.start(key, offset)
            case Skip(key):
                self._probes.stop(key)
            case GiveUp(key):
                self._probes.stop(key)
                log.warning("%s[%d]: Kafka does not answer; trying again", *key)
