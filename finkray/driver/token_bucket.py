"""A cap on a rate. Pure: the clock is given."""

from dataclasses import dataclass

BURST_S = 1.0
"""What may be spent at once after a quiet time: the worth of so many seconds."""


@dataclass(slots=True)
class TokenBucket:
    """Fills at a rate; whoever finds something in it may spend, and more than there is.

    So no amount is too large to be let through, and the mean over a long time is the rate.

    Parameters
    ----------
    per_s
        the rate; 0 is no cap
    """

    per_s: float
    _tokens: float = 0.0
    _at_s: float | None = None

    def is_open(self, now_s: float) -> bool:
        """Whether anything may be spent now."""
        if self.per_s == 0:
            return True
        most = self.per_s * BURST_S
        passed_s = BURST_S if self._at_s is None else now_s - self._at_s
        self._tokens = min(most, self._tokens + passed_s * self.per_s)
        self._at_s = now_s
        return self._tokens > 0

    def spend(self, amount: float) -> None:
        """Take out so much; what is missing must flow in before it is open again."""
        self._tokens -= amount
