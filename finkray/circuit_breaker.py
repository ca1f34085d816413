"""A circuit breaker: stops attempts after repeated failures, then allows one to test. Pure."""

from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]
"""closed: attempts are made. open: none are made. half_open: one is being made, and decides."""


class CircuitBreaker:
    """Counts consecutive failures, and decides whether an attempt may be made.

    Parameters
    ----------
    failures
        this many in a row open the breaker
    rest_s
        how long it stays open at first
    longest_rest_s
        how long at most: each test that fails doubles the rest; None: it is always the same

    Attributes
    ----------
    state
        see `BreakerState`
    opened
        how often it was opened by a failure
    opened_s
        when it was last opened while closed, on the clock of `now_s`; None while it is closed
    """

    def __init__(self, failures: int, rest_s: float, longest_rest_s: float | None = None) -> None:
        self._limit = failures
        self._first_rest_s = rest_s
        self._longest_rest_s = rest_s if longest_rest_s is None else longest_rest_s
        self._rest_s = 0.0
        self._failures = 0
        self._rests_until_s = 0.0
        self.state: BreakerState = "closed"
        self.opened = 0
        self.opened_s: float | None = None

    def is_resting(self, now_s: float) -> bool:
        """Return whether the breaker is open and its rest is not over."""
        return self.state == "open" and now_s < self._rests_until_s

    def allows(self, now_s: float) -> bool:
        """Return whether an attempt may be made: the breaker is closed, or its rest is over."""
        return self.state == "closed" or (self.state == "open" and not self.is_resting(now_s))

    def begin(self) -> None:
        """Record that an attempt is made; if the breaker is open, this attempt is the test."""
        if self.state == "open":
            self.state = "half_open"

    def succeeded(self) -> None:
        """Record an attempt that succeeded: the breaker closes."""
        self.state, self._failures, self._rest_s = "closed", 0, 0.0
        self.opened_s = None

    def failed(self, now_s: float) -> None:
        """Record an attempt that failed: the breaker opens at the limit, or if it was half open."""
        self._failures += 1
        if self.state == "half_open" or (self.state == "closed" and self._failures >= self._limit):
            self.opened += 1
            self.opened_s = now_s if self.opened_s is None else self.opened_s
            self._rest_s = min(self._longest_rest_s, self._rest_s * 2 or self._first_rest_s)
            self._open(now_s)

    def lost(self, now_s: float) -> None:
        """Record an attempt without a result and without a fault; a test must be repeated."""
        if self.state == "half_open":
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        self.state = "open"
        self._rests_until_s = now_s + self._rest_s
