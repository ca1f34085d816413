"""Check that RayDP's master of a Spark session is alive.

Its death is fatal and silent: executors run on for a while, but none is restarted, and a session
that is being created when the master dies waits for ever.
"""

import time
from typing import Any

from finkray.errors import ClusterUnavailable

ANSWER_S = 20.0
"""The master counts as gone after this time without an answer. It answers within milliseconds, and
within seconds on a machine that is busy starting Python workers."""

START_S = 240.0
"""How long Spark may take to start: 12 to 19 s on a quiet machine; two minutes were seen on one
with ten times more work than it could do."""


class RaydpMaster:
    """Polls the master of a session without ever waiting for it.

    Parameters
    ----------
    app_name
        of the Spark session
    """

    def __init__(self, app_name: str) -> None:
        from raydp.spark.ray_cluster_master import RAYDP_SPARK_MASTER_SUFFIX

        self._name = f"{app_name}{RAYDP_SPARK_MASTER_SUFFIX}"
        self._created_s = time.monotonic()
        self._actor: Any = None
        self._answer: Any = None
        self._asked_s = 0.0

    def check(self, *, starting: bool) -> None:
        """Evaluate the last answer, and ask again.

        Parameters
        ----------
        starting
            whether the session is being created: the master may not exist yet, or be busy

        Raises
        ------
        ClusterUnavailable
            if the master is gone, does not answer, or did not start in time
        """
        import ray

        if starting and time.monotonic() - self._created_s > START_S:
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
            self._evaluate_answer(starting=starting)
            self._ask()
        elif not starting and time.monotonic() - self._asked_s > ANSWER_S:
            raise ClusterUnavailable(f"RayDP's master has not answered for {ANSWER_S:.0f} s")

    def _ask(self) -> None:
        self._answer, self._asked_s = self._actor.get_master_url.remote(), time.monotonic()

    def _evaluate_answer(self, *, starting: bool) -> None:
        import ray

        try:
            ray.get(self._answer)
        except ray.exceptions.RayActorError as error:
            raise ClusterUnavailable(f"RayDP's master is gone: {error}") from error
        except ray.exceptions.RayError as error:
            if not starting:  # while it starts it has no JVM yet
                raise ClusterUnavailable(f"RayDP's master lost its JVM: {error}") from error
