"""Decide how much an ingest actor may fetch at a time. Pure: no Kafka, no clock.

The Kafka client unpacks all record batches of a fetch before anything is counted, up to 1000 times
their size. So fetches are small until what they unpack to is known to be little:

    a new actor ──────────────────────────> small ─ they unpack to little ─> full
    an actor that Ray restarted ─> bounded ──^  ^──── they unpack to much ────┘
"""

from typing import Final, Literal

FetchStage = Literal["bounded", "small", "full"]
"""`bounded`: one record batch at a time, in a process of its own. `small`: fetches of
`finkray.kafka.config.SMALL_FETCH_BYTES`. `full`: fetches as large as a fast stream needs."""

BOUNDED_S: Final = 60.0
"""How long an actor that Ray restarted reads bounded: what ended it is met within seconds, for it
reads again what it had in memory. A batch that ends the bounded process starts this time again."""

UNREAD_S: Final = 540.0
"""How much longer it reads bounded while a partition has not answered: partitions are read in turn,
and on a busy machine each turn takes seconds. One without a leader does not answer at all."""

SMALL_S: Final = 600.0
"""How long fetches stay small after some unpacked to much."""

LITTLE: Final = 8.0
"""Full fetches unpack to at most so many times their size; ZTF's alerts to 1.1, JSON to 5."""

SEEN_BYTES: Final = 1024 * 1024
"""Bytes from Kafka after which fetches may become full: a calm stream needs no large ones."""

MUCH_SEEN_BYTES: Final = 64 * 1024
"""Bytes from Kafka that are enough to see that fetches unpack to much."""


class FetchStages:
    """The stage of the consumers of one kind of lane.

    Parameters
    ----------
    bounded_until_s
        until when to read bounded; in the past if not at all
    """

    def __init__(self, bounded_until_s: float = float("-inf")) -> None:
        self._bounded_until_s = bounded_until_s
        self._small_until_s = float("-inf")
        self._stage: FetchStage = "small" if bounded_until_s == float("-inf") else "bounded"
        self._fetched_bytes = 0
        self._unpacked_bytes = 0

    @property
    def stage(self) -> FetchStage:
        """The present stage."""
        return self._stage

    def fetched(self, fetched_bytes: int, unpacked_bytes: int) -> None:
        """Take note of what came from Kafka, and of what it unpacked to."""
        self._fetched_bytes += fetched_bytes
        self._unpacked_bytes += unpacked_bytes

    def batch_ended_process(self, now_s: float) -> None:
        """Take note that a record batch ended the process of a bounded consumer."""
        self._bounded_until_s = max(self._bounded_until_s, now_s + BOUNDED_S)

    def advance(self, now_s: float, *, all_read: bool = True) -> bool:
        """Pass to the next stage if it is time; return whether the stage changed.

        Parameters
        ----------
        now_s
            the time
        all_read
            whether each partition was read, where the stage is `bounded`
        """
        stage = self._next(now_s, all_read=all_read)
        changed = stage != self._stage
        if changed or self._fetched_bytes >= SEEN_BYTES:
            self._fetched_bytes = self._unpacked_bytes = 0
        self._stage = stage
        return changed

    def _next(self, now_s: float, *, all_read: bool) -> FetchStage:
        if self._stage == "bounded":
            until_s = self._bounded_until_s + (0.0 if all_read else UNREAD_S)
            return "bounded" if now_s < until_s else "small"
        unpack_to_much = self._unpacked_bytes > LITTLE * self._fetched_bytes
        if unpack_to_much and self._fetched_bytes >= MUCH_SEEN_BYTES:
            self._small_until_s = now_s + SMALL_S
            return "small"
        if self._stage == "small" and (
            now_s < self._small_until_s or self._fetched_bytes < SEEN_BYTES
        ):
            return "small"
        return "full"
