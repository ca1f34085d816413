"""Whether RayDP's master of a Spark session is alive.

Its death is fatal and silent: executors go on for a while and none comes back, and a session
that is being made while it dies waits for ever.
"""

import time
from typing import Any

from finkray.errors import ClusterUnavailable

PULSE_S = 20.0
"""It answers within milliseconds, and within seconds on a machine that is busy starting Python
workers."""

START_S = 240.0
"""How long Spark may take to start: 12 to 19 s on a quiet machine, two minutes were seen on one
that had ten times too much to do."""


class RaydpMaster:
    """Feels the pulse of the master, without ever waiting for it.

    Parameters
    ----------
    app_name
        of the Spark session
    """

    def __init__(self, app_name: str) -> None:
        from raydp.spark.ray_cluster_master import RAYDP_SPARK_MASTER_SUFFIX

        self._name = f"{app_name}{RAYDP_SPARK_MASTER_SUFFIX}"
        self._began_s = time.monotonic()
        self._actor: Any = None
        self._answer: Any = None
        self._asked_s = 0.0

    def check(self, *, starting: bool) -> None:
        """Look at the last answer, and ask again.

        Parameters
        ----------
        starting
            the session is being made: the master may not be there yet, or be busy

        Raises
        ------
        ClusterUnavailable
            if the master is gone, silent, or not up in time
        """
        import ray

        if starting and time.monotonic() - self._began_s > START_S:
            raise ClusterUnavailable(f"Spark has not started within {START_S:.0f} s")
        if self._actor is None:
            try:
                self._actor = ray.get_actor(self._name)
            except ValueError:
                if starting:
                    return
                raise ClusterUnavailable("RayDP's master is gone") from None
            self._ask()
        answered, _ = ray.wait([self._answer], timeout=0)
        if answered:
            self._judge_answer(starting=starting)
            self._ask()
        elif not starting and time.monotonic() - self._asked_s > PULSE_S:
            raise ClusterUnavailable(f"RayDP's master has not answered for {PULSE_S:.0f} s")

    def _ask(self) -> None:
        self._answer, self._asked_s = self._actor.get_master_url.remote(), time.monotonic()

    def _judge_answer(self, *, starting: bool) -> None:
        import ray

        try:
            ray.get(self._answer)
        except ray.exceptions.RayActorError as error:
            raise ClusterUnavailable(f"RayDP's master is gone: {error}") from error
        except ray.exceptions.RayError as error:
            if not starting:  # else it has no JVM below it yet
                raise ClusterUnavailable(f"RayDP's master lost its JVM: {error}") from error
