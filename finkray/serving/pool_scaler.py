"""Brings the number of workers in a pool to what `finkray.serving.scale` decides."""

import logging

from finkray.serving.dispatcher import Dispatcher
from finkray.serving.pool import Pool
from finkray.serving.scale import Load, ScaleSettings, ScaleState, scale

log = logging.getLogger(__name__)


class PoolScaler:
    """Start and retire the workers of a pool.

    Parameters
    ----------
    pool
        the workers
    dispatcher
        which knows what waits and who is idle
    settings
        bounds

    Attributes
    ----------
    wanted
        number of workers that were decided on last
    """

    def __init__(self, pool: Pool, dispatcher: Dispatcher, settings: ScaleSettings) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._settings = settings
        self._state = ScaleState()
        self.wanted = 0

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
        self.wanted, self._state = scale(load, self._settings, self._state, now_s)
        if self.wanted != load.actors:
            log.info(
                "%d alerts wait for %d workers; the pool goes to %d",
                load.waiting_rows,
                load.actors,
                self.wanted,
            )
        while len(self._pool.workers) < self.wanted:
            self._pool.start()
        for _ in range(load.actors - self.wanted):
            idle = self._dispatcher.idle
            worker = idle[-1] if idle else self._pool.workers[-1]
            self._dispatcher.retire(worker)
            self._pool.retire(worker)
