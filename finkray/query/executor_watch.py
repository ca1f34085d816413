"""Decide when Spark's executors count as gone. Pure: the clock is a parameter."""

from typing import Final

from finkray.errors import ClusterUnavailable

NO_EXECUTOR_S: Final = 20.0
"""Spark counts as gone after this time without an executor. A killed executor was restarted within
7 s; after the death of its owner it never was."""

FIRST_EXECUTOR_S: Final = 90.0
"""The same before there was any. One starts within 5 s; it took 20 s and more on two cores with
fifteen times as much work, where each fresh process began anew."""


class ExecutorWatch:
    """Watches whether there are executors: RayDP restarts a dead one, unless its owner is dead.

    Parameters
    ----------
    now_s
        when Spark's session was made, on the monotonic clock
    """

    def __init__(self, now_s: float) -> None:
        self._seen_s = now_s
        self._limit_s = FIRST_EXECUTOR_S

    def note(self, executors: int, now_s: float) -> None:
        """Take note of how many executors there are.

        Raises
        ------
        ClusterUnavailable
            if there has been none for too long
        """
        if executors > 0:
            self._seen_s, self._limit_s = now_s, NO_EXECUTOR_S
        elif now_s - self._seen_s > self._limit_s:
            raise ClusterUnavailable(f"no Spark executor for {self._limit_s:.0f} s")
