"""How many bytes an ingest actor may hold, and for what."""

from dataclasses import dataclass

from finkray.intake import CutLimits


@dataclass(frozen=True, slots=True)
class Budget:
    """How an actor's share of the held bytes is divided.

    Attributes
    ----------
    limit_bytes
        all that the actor may hold
    queue_bytes
        the Kafka client's own queue
    limits
        when claims are cut; a claim is never larger than an eighth of the limit
    max_message_bytes
        the largest message that is asked for
    """

    limit_bytes: int
    queue_bytes: int
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
            max_message_bytes=min(max_message_bytes, limit // 8),
            limits=CutLimits(claim_bytes, limits.claim_rows, limits.linger_s),
        )

    @property
    def reserve_bytes(self) -> int:
        """Room that messages never fill.

        It is for the client's queue, which may pass its bound by one fetch, and for what
        decoding takes beside the messages it decodes.
        """
        return 2 * self.queue_bytes + self.limits.claim_bytes
