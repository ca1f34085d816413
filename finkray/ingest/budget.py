"""How many bytes an ingest actor may hold, and for what."""

from dataclasses import dataclass, replace

from finkray.ingest.intake import CutLimits, room_for_messages

BACKFILL_CLAIMS = 16
"""Most claims of backfills that an actor holds, however small they are: a micro-batch or two."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What lanes of one kind hold: batches that are not durable yet, and messages at hand."""

    held_bytes: int = 0
    pending_bytes: int = 0
    claims: int = 0

    @property
    def all_bytes(self) -> int:
        """Batches and messages."""
        return self.held_bytes + self.pending_bytes


@dataclass(frozen=True, slots=True)
class Budget:
    """How an actor's share of the held bytes is divided.

    Attributes
    ----------
    limit_bytes
        all that the actor may hold
    queue_bytes, backfill_queue_bytes
        the Kafka clients' own queues, for the live lanes and for the backfills
    limits
        when claims are cut; a claim is never larger than an eighth of the limit
    max_message_bytes
        the largest message that is asked for
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
        """One actor's budget of what all actors may hold."""
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
        """Room that messages never fill.

        It is for the clients' queues, which may pass their bounds by one fetch, and for what
        decoding takes beside the messages it decodes.
        """
        queues = self.queue_bytes + (self.backfill_queue_bytes if backfilling else 0)
        return 2 * queues + self.limits.claim_bytes

    def live_room(self, live: Taken, backfill: Taken, *, backfilling: bool) -> int:
        """How many messages the live lanes may ask for: all that there is room for."""
        return room_for_messages(
            limit_bytes=self.limit_bytes,
            taken_bytes=live.all_bytes + backfill.all_bytes,
            reserve_bytes=self.reserve_bytes(backfilling=backfilling),
            max_message_bytes=self.max_message_bytes,
        )

    def backfill_room(self, live: Taken, backfill: Taken) -> int:
        """How many messages the backfills may ask for.

        They leave room for a claim of the live lanes, so that a burst there always finds some.
        """
        if backfill.claims >= BACKFILL_CLAIMS:
            return 0
        kept = max(0, max(self.limits.claim_bytes, self.max_message_bytes) - live.all_bytes)
        return room_for_messages(
            limit_bytes=self.limit_bytes - kept,
            taken_bytes=live.all_bytes + backfill.all_bytes,
            reserve_bytes=self.reserve_bytes(backfilling=True),
            max_message_bytes=self.max_message_bytes,
        )
