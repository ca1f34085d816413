"""A circuit breaker: after some failures in a row it allows no attempt for a while, then one."""

import time
from collections.abc import Callable

from finkray.settings.catalogs import REMOTE_FAILURES, REMOTE_REST_S


class Breaker:
    """Counts failures and decides whether an attempt is allowed.

    Parameters
    ----------
    failures
        how many in a row open it
    rest_s
        how long it is open, in seconds; then one attempt decides whether it closes
    clock
        a monotonic clock, in seconds
    """

    def __init__(
        self,
        failures: int = REMOTE_FAILURES,
        rest_s: float = REMOTE_REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock
        self._failed = 0
        self._opened_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether no attempt is allowed now."""
        return self._opened_s is not None and self._clock() - self._opened_s < self._rest_s

    def succeeded(self) -> None:
        """Record an attempt that succeeded: the breaker closes."""
        self._failed, self._opened_s = 0, None

    def failed(self) -> None:
        """Record an attempt that failed: the breaker opens at the limit, or if it was half open."""
        self._failed += 1
        if self._failed >= self._limit:
            self._opened_s = self._clock()
