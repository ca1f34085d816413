"""A service's workers on Ray: an actor for each, which keeps the process with the user's code."""

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

GRACE_S = 30.0
"""An actor keeps the limits itself; one that is silent for so long beyond them is made anew. It
first waits for its resources and loads its modules, which takes seconds on a busy machine."""

BACK_S = 120.0
"""Ray has a killed actor up again within seconds, on a busy machine within half a minute."""

PAUSE_S = 0.2
"""Between two questions to an actor that is down."""

log = logging.getLogger(__name__)


class ServiceActor:
    """A `Worker`, made a Ray actor: its answers are passed on as they are.

    Parameters
    ----------
    spec, limits
        as of the worker
    """

    def __init__(self, spec: Spec, limits: Limits) -> None:
        self._worker = Worker(spec, limits)

    def start(self) -> tuple[Described | None, str]:
        """What the service declares, or why it does not start."""
        try:
            return self._worker.start(), ""
        except ServiceError as error:
            return None, str(error)

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch."""
        return self._worker.run(slices)

    def close(self) -> None:
        """End the process."""
        self._worker.close()


class ActorHost:
    """An actor as the driver has it; a `finkray.serving.pool.Host`.

    Parameters
    ----------
    actor
        the handle
    name
        of the actor
    limits
        which it keeps
    """

    def __init__(self, actor: Any, name: str, limits: Limits) -> None:
        self._actor = actor
        self._name = name
        self._limits = limits

    def start(self) -> Described:
        """Wait until the service is set up; an actor that is down is waited for."""
        from ray.exceptions import RayError

        ends_s = time.monotonic() + BACK_S
        while True:
            try:
                about, why = self._ask(self._actor.start, self._limits.start_s)
            except RayError as error:
                if time.monotonic() > ends_s:
                    raise ClusterUnavailable(f"{self._name} does not come back: {error}") from error
                time.sleep(PAUSE_S)
                continue
            if about is None:
                raise ServiceError(why)
            return about

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch; `lost` if the actor is."""
        from ray.exceptions import RayError

        try:
            # The process may have to be started anew before.
            limit_s = self._limits.start_s + self._limits.batch_s
            return self._ask(self._actor.run, limit_s, list(slices))
        except RayError as error:
            log.warning("%s is lost, its batch is done again: %s", self._name, _first_line(error))
            return Answer(fault="lost", detail=_first_line(error))

    def close(self) -> None:
        """End the actor with its process."""
        import ray
        from ray.exceptions import RayError

        try:
            ray.get(self._actor.close.remote(), timeout=5.0)
        except RayError as error:
            log.debug("%s is not closed: %s", self._name, error)
        ray.kill(self._actor)

    def _ask(self, method: Any, limit_s: float, *words: Any) -> Any:
        import ray
        from ray.exceptions import GetTimeoutError

        try:
            return ray.get(method.remote(*words), timeout=limit_s + GRACE_S)
        except GetTimeoutError:
            log.warning("%s is silent, and made anew", self._name)
            ray.kill(self._actor, no_restart=False)
            raise


def actor_maker(
    spec: Spec, limits: Limits, settings: ServiceSettings, name: str
) -> Callable[[int], Host]:
    """What makes the actors of a service, by their numbers.

    Parameters
    ----------
    spec, limits
        of the service
    settings
        what an actor reserves
    name
        begins the actors' names
    """
    import ray

    kind = ray.remote(ServiceActor)
    resources: Mapping[str, float] = settings.resources

    def make(number: int) -> Host:
        full = f"finkray-service-{name}-{number}-{os.getpid()}"
        actor = kind.options(
            name=full,
            num_cpus=settings.cpus_per_actor,
            resources=dict(resources),
            max_restarts=-1,
        ).remote(spec, limits)
        return ActorHost(actor, full, limits)

    return make


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
