"""Check that RayDP's master of a Spark session is alive.

Its death is fatal and silent: executors run on for a while, but none is restarted, and a session
that is being created when the master dies waits for ever.
"""

import time
from typing import Any

from finkray.errors import ClusterUnavailable

ANSWER_S = 20.0
"""Time without an answer after which the master counts as gone. It answers within milliseconds, and
within seconds on a machine that is busy starting Python workers."""

START_S = 240.0
"""How long Spark may take to start: 12 to 19 s on a quiet machine; two minutes on a machine
with ten times more work than it can do."""


class RaydpMaster:
    """Polls the master of a session, and never waits for its answer.

    Parameters
    ----------
    app_name
        name of the Spark application
    """

    def __init__(self, app_name: str) -> None:
        from raydp.spark.ray_cluster_master import RAYDP_SPARK_MASTER_SUFFIX

        self._name = f"{app_name}{RAYDP_SPARK_MASTER_SUFFIX}"
        self._created_s = time.monotonic()
        self._actor: Any = None
        self._answer: Any = None
        self._requested_s = 0.0

    def check(self, *, starting: bool) -> None:
        """Evaluate the last answer, and send the next request.

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
            self._request()
        answered, _ = ray.wait([self._answer], timeout=0)
        if answered:
            self._evaluate_answer(starting=starting)
            self._request()
        elif not starting and time.monotonic() - self._requested_s > ANSWER_S:
            raise ClusterUnavailable(f"RayDP's master has not answered for {ANSWER_S:.0f} s")

    def _request(self) -> None:
        self._answer, self._requested_s = self._actor.get_master_url.remote(), time.monotonic()

    def _evaluate_answer(self, *, starting: bool) -> None:
        import ray

        try:
            ray.get(self._answer)
        except ray.exceptions.RayActorError as error:
            raise ClusterUnavailable(f"RayDP's master is gone: {error}") from error
        except ray.exceptions.RayError as error:
            if not starting:  # a starting master has no JVM yet
                raise ClusterUnavailable(f"RayDP's master lost its JVM: {error}") from error
