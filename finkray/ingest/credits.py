"""Compute how much an ingest actor may still poll and decode, from what it holds."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from finkray.ingest.budget import Budget, LaneUsage
from finkray.ingest.decode_queue import DecodeQueue
from finkray.ingest.held_batches import HeldBatches
from finkray.ingest.lane_reader import LaneReader
from finkray.ingest.messages import LaneKind
from finkray.ingest.shares import HeldBackTopics, may_decode, poll_credit


class Credits:
    """The credits of an ingest actor.

    Parameters
    ----------
    budget
        the actor's share of the held bytes
    readers
        of live lanes and backfills
    decode_queue
        claims that wait to be decoded
    held
        batches that are held

    Attributes
    ----------
    held_back
        topics that are not read further for now
    """

    def __init__(
        self,
        budget: Budget,
        readers: Mapping[LaneKind, LaneReader],
        decode_queue: DecodeQueue,
        held: HeldBatches,
    ) -> None:
        self._budget = budget
        self._readers = readers
        self._decode_queue = decode_queue
        self._held = held
        self.held_back = HeldBackTopics()

    def live(self) -> int:
        """Hold topics back that use more than their share; return the credit of a live poll."""
        backfilling = self._readers["backfill"].active
        live, backfill = self.usage()
        used = self._used_by_topic()
        room_bytes = self._budget.room_bytes(backfilling=backfilling) - backfill.all_bytes
        self.held_back.update(used, room_bytes, time.monotonic())
        self._readers["live"].hold_back(self.held_back.topics)
        credit = self._budget.live_credit(live, backfill, backfilling=backfilling)
        return poll_credit(credit, len(used))

    def backfill(self) -> int:
        """Return the credit of a poll of the backfills."""
        return self._budget.backfill_credit(*self.usage())

    def may_decode(self, lane: LaneKind) -> Callable[[str], bool]:
        """Return a function that says of a topic whether its next claim may be decoded now."""
        room_bytes = self._budget.room_bytes(backfilling=self._readers["backfill"].active)
        all_held_bytes = self._held.bytes_of()
        # The credit of the backfills already bounds what they hold.
        topics = len(self._readers["live"].pending_by_topic()) if lane == "live" else 1
        return lambda topic: may_decode(
            self._held.bytes_of(lane, topic), all_held_bytes, room_bytes, topics
        )

    def usage(self) -> tuple[LaneUsage, LaneUsage]:
        """Return what the live lanes and the backfills hold."""
        live, backfill = (
            LaneUsage(
                self._held.bytes_of(lane),
                reader.pending_bytes + self._decode_queue.waiting_bytes[lane],
                self._held.claims_of(lane),
            )
            for lane, reader in self._readers.items()
        )
        return live, backfill

    def _used_by_topic(self) -> Counter[str]:
        """Return what the messages and batches of each live topic take."""
        used = self._readers["live"].pending_by_topic()
        used.update(self._decode_queue.waiting_bytes_by_topic("live"))
        for topic in used:
            used[topic] += self._held.bytes_of("live", topic)
        return used
