"""Limit a rate. Pure: the clock is a parameter."""

from dataclasses import dataclass

BURST_S = 1.0
"""After a quiet time the tokens of this many seconds may be spent at once."""


@dataclass(slots=True)
class TokenBucket:
    """A bucket that fills at a rate. While it has any token, any amount may be spent.

    So no amount is too large to pass, and the mean over a long time is the rate.

    Parameters
    ----------
    per_s
        the rate; 0 is no limit
    """

    per_s: float
    _tokens: float = 0.0
    _at_s: float | None = None

    def is_open(self, now_s: float) -> bool:
        """Return whether anything may be spent now."""
        if self.per_s == 0:
            return True
        most = self.per_s * BURST_S
        elapsed_s = BURST_S if self._at_s is None else now_s - self._at_s
        self._tokens = min(most, self._tokens + elapsed_s * self.per_s)
        self._at_s = now_s
        return self._tokens > 0

    def spend(self, amount: float) -> None:
        """Take out this amount; a debt must be refilled before the bucket is open again."""
        self._tokens -= amount
