"""Run the workers of a service on Ray: an actor for each, with its child process."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finkray.errors import ClusterUnavailable, ServiceError
from finkray.services.messages import Answer, Limits, Slice, Spec
from finkray.services.service import Described
from finkray.serving.pool import Host
from finkray.serving.worker import Worker
from finkray.settings.services import ServiceSettings
from finkray.storage.opening import StorageLocation, open_storage

GRACE_S = 30.0
"""Time beyond the limits after which an actor that does not answer is restarted. The actor enforces
the limits itself; but it first waits for its resources and loads its modules, which takes seconds
on a busy machine."""

RESTART_S = 120.0
"""How long to wait for a restarted actor. Ray takes seconds, on a busy machine half a minute."""

RETRY_S = 0.2
"""Pause between two attempts to reach an actor that is down."""

log = logging.getLogger(__name__)


class ServiceActor:
    """A `Worker` as a Ray actor; returns its answers unchanged.

    Parameters
    ----------
    spec, limits
        as of the worker
    archive
        where the archive lies
    """

    def __init__(self, spec: Spec, limits: Limits, archive: StorageLocation) -> None:
        self._worker = Worker(spec, limits, open_storage(archive))

    def start(self) -> tuple[Described | None, str]:
        """Return what the service declares, or why it does not start."""
        try:
            return self._worker.start(), ""
        except ServiceError as error:
            return None, str(error)

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch."""
        return self._worker.run(slices)

    def close(self) -> None:
        """End the child process."""
        self._worker.close()


class ActorHost:
    """The driver's handle of a `ServiceActor`; a `finkray.serving.pool.Host`.

    Parameters
    ----------
    actor
        the Ray handle
    name
        name of the actor
    limits
        the limits that the actor enforces
    """

    def __init__(self, actor: Any, name: str, limits: Limits) -> None:
        self._actor = actor
        self._name = name
        self._limits = limits

    def start(self) -> Described:
        """Wait until the service is set up, also while Ray restarts the actor.

        Raises
        ------
        ServiceError
            if the service does not start
        ClusterUnavailable
            if the actor has not restarted after `RESTART_S`
        """
        from ray.exceptions import RayError

        ends_s = time.monotonic() + RESTART_S
        while True:
            try:
                about, why = self._call(self._actor.start, self._limits.start_s)
            except RayError as error:
                if time.monotonic() > ends_s:
                    raise ClusterUnavailable(
                        f"actor {self._name} did not restart within {RESTART_S:.0f} s: {error}"
                    ) from error
                time.sleep(RETRY_S)
                continue
            if about is None:
                raise ServiceError(why)
            return about

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch; the fault is `lost` if the actor is lost."""
        from ray.exceptions import RayError

        try:
            # The child may have to be started first.
            limit_s = self._limits.start_s + self._limits.batch_s
            return self._call(self._actor.run, limit_s, list(slices))
        except RayError as error:
            log.warning("actor %s is lost; retrying its batch: %s", self._name, _first_line(error))
            return Answer(fault="lost", detail=_first_line(error))

    def close(self) -> None:
        """End the actor with its child process."""
        import ray
        from ray.exceptions import RayError

        try:
            ray.get(self._actor.close.remote(), timeout=5.0)
        except RayError as error:
            log.debug("actor %s did not close, killing it: %s", self._name, error)
        ray.kill(self._actor)

    def _call(self, method: Any, limit_s: float, *arguments: Any) -> Any:
        import ray
        from ray.exceptions import GetTimeoutError

        try:
            return ray.get(method.remote(*arguments), timeout=limit_s + GRACE_S)
        except GetTimeoutError:
            log.warning(
                "actor %s did not answer within %.0f s; restarting it",
                self._name,
                limit_s + GRACE_S,
            )
            ray.kill(self._actor, no_restart=False)
            raise


def actor_maker(
    spec: Spec, limits: Limits, settings: ServiceSettings, name: str, archive: StorageLocation
) -> Callable[[int], Host]:
    """Return a function that starts the actor of a worker, by the worker's number.

    Parameters
    ----------
    spec, limits
        of the service
    settings
        name the resources that an actor reserves
    name
        first part of the actors' names
    archive
        where the archive lies
    """
    import ray

    actor_class = ray.remote(ServiceActor)
    resources: Mapping[str, float] = settings.resources

    def make(number: int) -> Host:
        full_name = f"finkray-service-{name}-{number}-{os.getpid()}"
        actor = actor_class.options(
            name=full_name,
            num_cpus=settings.cpus_per_actor,
            resources=dict(resources),
            max_restarts=-1,
        ).remote(spec, limits, archive)
        return ActorHost(actor, full_name, limits)

    return make


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
