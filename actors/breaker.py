"""A breaker: after some failures in a row nothing is tried for a while, then one thing."""

import time
from collections.abc import Callable


class Breaker:
    """Counts failures; says whether something may be tried.

    Parameters
    ----------
    failures
        so many in a row open it
    rest_s
        how long it is open, in seconds; then one try decides whether it closes
    clock
        seconds that only go forward
    """

    def __init__(
        self, failures: int, rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failed = 0
        self._opened_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing may be tried now."""
        return self._opened_s is not None and self._clock() - self._opened_s < self._rest_s

    def succeeded(self) -> None:
        """Something was tried and went well: closed."""
        self._failed, self._opened_s = 0, None

    def failed(self) -> None:
        """Something was tried and failed: open if it was one too many, or the try that decides."""
        self._failed += 1
        if self._failed >= self._limit:
            self._opened_s = self._clock()
