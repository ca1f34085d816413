"""Decide what to do about record batches of Kafka that cannot be read. Pure: no Kafka, no clock.

The client reports such a batch (a checksum that differs, data that cannot be decompressed) by the
offset of its first message; where it ends, it does not say. Kafka sends whole batches, so the end
can be found: reading from an offset inside the batch fails again, with the same first offset, and
reading from an offset behind it does not.

    failed ─ pause, read again ─ failed ... `tries` times ─ search for the end ─ skip to behind it
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.intake import CutClaim
from finkray.ingest.lane_consumer import PartitionKey

RETRY_S: Final = 3.0
"""Pause before a batch is read again: a fault of the network or of a broker's cache may pass."""

TRIES: Final = 3
"""How often a batch is read before it is skipped, unless the settings say otherwise."""

PROBE_S: Final = 10.0
"""How long the answer to a probe may take. A broker that does not answer says nothing about the
batch: the search continues later, with what it knows, and waits twice as long."""

LONGEST_PROBE_S: Final = 160.0
"""The same after some probes without an answer. On a busy machine a process that unpacks a large
batch may take longer than `PROBE_S`, and each further try would end as early."""


@dataclass(slots=True)
class BatchEndSearch:
    """Finds the last offset of a batch, with some two probes for each doubling of its length.

    Parameters
    ----------
    first_offset
        an offset inside the batch
    limit_offset
        an offset behind the batch, as the end of the partition
    """

    first_offset: int
    limit_offset: int
    _step: int = 1
    _galloping: bool = True
    _inside: int = field(init=False)
    _outside: int = field(init=False)

    def __post_init__(self) -> None:
        if self.first_offset >= self.limit_offset:
            raise ValueError(f"no batch from {self.first_offset} to before {self.limit_offset}")
        self._inside, self._outside = self.first_offset, self.limit_offset

    @property
    def last_offset(self) -> int | None:
        """Last offset of the batch; None if it is not found yet."""
        return self._inside if self._inside + 1 == self._outside else None

    @property
    def probe(self) -> int:
        """The next offset to read from."""
        if self._galloping:
            return min(self._inside + self._step, self._outside - 1)
        return (self._inside + self._outside) // 2

    def answer(self, *, inside: bool) -> None:
        """Take note whether `probe` is inside the batch."""
        if inside:
            self._inside = self.probe
            self._step *= 2
        else:
            self._outside = self.probe
            self._galloping = False


def find_last_offset(search: BatchEndSearch, is_inside: Callable[[int], bool]) -> int:
    """Return the last offset of a batch, by a function that tries an offset and waits."""
    while (last := search.last_offset) is None:
        search.answer(inside=is_inside(search.probe))
    return last


def unreadable_claim(
    source: TopicPartition, next_offset: int, first: int, last: int
) -> CutClaim[Any]:
    """Return the claim of a batch from `first` to `last`, and of the offsets before it."""
    gap = Gap("unreadable", first, last)
    gaps: tuple[Gap, ...] = (gap,)
    if first > next_offset:
        gaps = (Gap("not_delivered", next_offset, first - 1), gap)
    return CutClaim(Claim(source, next_offset, last), (), gaps, 0)


class Probe(NamedTuple):
    """Read the partition from this offset on: the answer says whether it is inside the batch."""

    key: PartitionKey
    offset: int


class Skip(NamedTuple):
    """Continue behind these offsets, which are those of the batch."""

    key: PartitionKey
    first_offset: int
    last_offset: int


class GiveUp(NamedTuple):
    """Stop reading the partition for a while: a probe had no answer."""

    key: PartitionKey


@dataclass(slots=True)
class _Batch:
    """A batch that cannot be read: its offset as reported, and the first offset that is lost."""

    reported_offset: int
    first_offset: int
    why: str
    tries: int
    retry_at_s: float
    search: BatchEndSearch | None = None
    interrupted: BatchEndSearch | None = None
    probed: bool = False
    probe_s: float = PROBE_S
    probe_by_s: float = 0.0
    inside: bool | None = None


class UnreadableBatches:
    """The batch of each partition that cannot be read.

    Parameters
    ----------
    tries
        how often a batch is read before it is skipped
    """

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._batches: dict[PartitionKey, _Batch] = {}

    @property
    def texts(self) -> dict[PartitionKey, str]:
        """What is wrong with the batches, for people; thread-safe."""
        return {
            key: f"the record batch at offset {batch.first_offset} cannot be read, "
            f"try {batch.tries} of {self._tries}: {batch.why}"
            for key, batch in list(self._batches.items())
        }

    def failed(
        self, key: PartitionKey, reported_offset: int, next_offset: int, why: str, now_s: float
    ) -> None:
        """Take note that reading from `next_offset` on failed at this batch."""
        known = self._batches.get(key)
        again = known is not None and known.reported_offset == reported_offset
        tries = known.tries + 1 if known is not None and again else 1
        # A reader may begin in the middle of a batch.
        first = max(reported_offset, next_offset)
        batch = _Batch(reported_offset, first, why, tries, now_s + RETRY_S)
        if known is not None and again:
            batch.interrupted, batch.probe_s = known.interrupted, known.probe_s
        self._batches[key] = batch

    def forget(self, key: PartitionKey) -> None:
        """Forget the batch of a partition: it was read, skipped, or is not to be read."""
        self._batches.pop(key, None)

    def due(self, now_s: float) -> list[PartitionKey]:
        """Return the partitions that are to be read again now, each once."""
        due = [
            key
            for key, batch in self._batches.items()
            if batch.search is None and batch.retry_at_s <= now_s
        ]
        for key in due:
            self._batches[key].retry_at_s = now_s + self._batches[key].probe_s
        return due

    def search(self, key: PartitionKey, next_offset: int, end_offset: int) -> bool:
        """Return whether the batch is to be skipped, and begin the search for its end.

        Parameters
        ----------
        key
            the partition
        next_offset
            where its lane continues
        end_offset
            where the partition or the lane ends
        """
        batch = self._batches.get(key)
        if batch is None or batch.tries < self._tries:
            return False
        first = max(batch.first_offset, next_offset)
        if first >= end_offset:
            return False
        batch.first_offset = first
        known = batch.interrupted
        batch.search = (
            known
            if known is not None and known.first_offset == first
            else BatchEndSearch(first, end_offset)
        )
        batch.probed = False
        return True

    def searching(self, key: PartitionKey) -> bool:
        """Return whether the end of a batch of that partition is searched for."""
        batch = self._batches.get(key)
        return batch is not None and batch.search is not None

    def answer(self, key: PartitionKey, failed_at: int | None) -> None:
        """Take note of the first answer to a probe; later ones belong to the same fetch.

        `failed_at` is the offset of the batch that could not be read; None if a message was read.
        """
        batch = self._batches[key]
        if batch.inside is None:
            batch.inside = failed_at == batch.reported_offset

    def next_steps(self, now_s: float) -> list[Probe | Skip | GiveUp]:
        """Return what follows from new searches, and from answers to probes since the last call."""
        steps: list[Probe | Skip | GiveUp] = []
        for key, batch in self._batches.items():
            if batch.search is None:
                continue
            if not batch.probed:
                steps.append(self._next(key, batch, now_s))
            elif batch.inside is not None:
                batch.search.answer(inside=batch.inside)
                steps.append(self._next(key, batch, now_s))
            elif now_s >= batch.probe_by_s:
                batch.search, batch.interrupted = None, batch.search
                batch.retry_at_s = now_s + RETRY_S
                batch.probe_s = min(2 * batch.probe_s, LONGEST_PROBE_S)
                steps.append(GiveUp(key))
        return steps

    @staticmethod
    def _next(key: PartitionKey, batch: _Batch, now_s: float) -> Probe | Skip:
        assert batch.search is not None  # noqa: S101 - for mypy: the caller has checked it
        batch.probed, batch.inside = True, None
        batch.probe_by_s = now_s + batch.probe_s
        last = batch.search.last_offset
        if last is not None:
            return Skip(key, batch.first_offset, last)
        return Probe(key, batch.search.probe)
