"""Divide the bytes that an ingest actor may hold among live lanes, backfills and queues."""

from dataclasses import dataclass, replace

from finkray.ingest.intake import CutLimits, message_credit

BACKFILL_CLAIMS = 16
"""The most backfill claims that an actor holds, however small they are: a micro-batch or two."""


@dataclass(frozen=True, slots=True)
class LaneUsage:
    """What lanes of one kind hold: batches that are not durable, and messages not in a claim."""

    held_bytes: int = 0
    pending_bytes: int = 0
    claims: int = 0

    @property
    def all_bytes(self) -> int:
        """Bytes of batches and messages."""
        return self.held_bytes + self.pending_bytes


@dataclass(frozen=True, slots=True)
class Budget:
    """How an actor's share of the held bytes is divided.

    Attributes
    ----------
    limit_bytes
        all bytes that the actor may hold
    queue_bytes, backfill_queue_bytes
        bounds of the Kafka clients' own queues, for live lanes and for backfills
    limits
        when claims are cut; a claim is never larger than an eighth of the limit
    max_message_bytes
        the largest message that is fetched
    """

    limit_bytes: int
    queue_bytes: int
    backfill_queue_bytes: int
    max_message_bytes: int
    limits: CutLimits

    @classmethod
    def share(
        cls, *, held_bytes: int, actors: int, max_message_bytes: int, limits: CutLimits
    ) -> "Budget":
        """Return the budget of one actor, of the bytes that all actors may hold."""
        limit = held_bytes // actors
        claim_bytes = min(limits.claim_bytes, limit // 8)
        return cls(
            limit_bytes=limit,
            queue_bytes=min(16 * 1024 * 1024, limit // 8),
            backfill_queue_bytes=min(8 * 1024 * 1024, limit // 16),
            max_message_bytes=min(max_message_bytes, limit // 8),
            limits=replace(limits, claim_bytes=claim_bytes),
        )

    def reserve_bytes(self, *, backfilling: bool) -> int:
        """Return how many bytes are kept free of messages.

        They are for the clients' queues, which may exceed their bounds by one fetch, and for the
        memory of decoding beside the messages that it decodes.
        """
        queues = self.queue_bytes + (self.backfill_queue_bytes if backfilling else 0)
        return 2 * queues + self.limits.claim_bytes

    def room_bytes(self, *, backfilling: bool) -> int:
        """Return how many bytes topics may use, so that there is room for one more message."""
        reserve_bytes = self.reserve_bytes(backfilling=backfilling)
        return max(0, self.limit_bytes - reserve_bytes - self.max_message_bytes)

    def live_credit(self, live: LaneUsage, backfill: LaneUsage, *, backfilling: bool) -> int:
        """Return how many messages the live lanes may fetch: as many as there is room for."""
        return message_credit(
            limit_bytes=self.limit_bytes,
            used_bytes=live.all_bytes + backfill.all_bytes,
            reserve_bytes=self.reserve_bytes(backfilling=backfilling),
            max_message_bytes=self.max_message_bytes,
        )

    def backfill_credit(self, live: LaneUsage, backfill: LaneUsage) -> int:
        """Return how many messages the backfills may fetch.

        They leave room for one claim of the live lanes, so that a burst there is never delayed.
        """
        if backfill.claims >= BACKFILL_CLAIMS:
            return 0
        kept = max(0, max(self.limits.claim_bytes, self.max_message_bytes) - live.all_bytes)
        return message_credit(
            limit_bytes=self.limit_bytes - kept,
            used_bytes=live.all_bytes + backfill.all_bytes,
            reserve_bytes=self.reserve_bytes(backfilling=True),
            max_message_bytes=self.max_message_bytes,
        )
