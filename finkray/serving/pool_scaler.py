"""Bring the number of workers in a pool to what `finkray.serving.scale` decides."""

import logging

from finkray.serving.dispatcher import Dispatcher
from finkray.serving.pool import Pool
from finkray.serving.scale import Load, ScaleSettings, ScaleState, scale

log = logging.getLogger(__name__)


class PoolScaler:
    """Starts and retires the workers of a pool.

    Parameters
    ----------
    pool
        the workers
    dispatcher
        gives the number of waiting alerts and the idle workers
    settings
        bounds

    Attributes
    ----------
    decided
        number of workers that the last call of `scale` decided on
    """

    def __init__(self, pool: Pool, dispatcher: Dispatcher, settings: ScaleSettings) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._settings = settings
        self._state = ScaleState()
        self.decided = 0

    def scale(self, rows_per_s: float, now_s: float) -> None:
        """Decide on the number of workers, and start or retire some.

        Parameters
        ----------
        rows_per_s
            alerts that one worker processes in a second; 0 while that is not known
        now_s
            the time, monotonic
        """
        load = Load(
            waiting_rows=self._dispatcher.waiting_rows,
            rows_per_s=rows_per_s,
            actors=len(self._pool.workers),
            held=self._dispatcher.breaker != "closed",
        )
        self.decided, self._state = scale(load, self._settings, self._state, now_s)
        if self.decided != load.actors:
            log.info(
                "%d alerts wait for %d workers; the pool goes to %d",
                load.waiting_rows,
                load.actors,
                self.decided,
            )
        while len(self._pool.workers) < self.decided:
            self._pool.start()
        for _ in range(load.actors - self.decided):
            idle = self._dispatcher.idle
            worker = idle[-1] if idle else self._pool.workers[-1]
            self._dispatcher.retire(worker)
            self._pool.retire(worker)
