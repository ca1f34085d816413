"""Start and stop: the cluster, the service on it, and what the person is told meanwhile."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError, ServiceError, SettingsError
from finkray.host.interrupt import asked_by_interrupt
from finkray.host.lock import exclusive
from finkray.settings.model import Settings
from finkray.status.board import ARCHIVE_BOARD, read_board
from finkray.storage.hours import utc
from finkray.text import bytes_text, duration_text
from jobs.cluster.absolute_paths import placed
from jobs.cluster.archive import archive_of
from jobs.cluster.connect import Cluster, connected, find_cluster, is_on_this_machine, job_client
from jobs.cluster.local_ray import start_local_ray, stop_local_ray
from jobs.cluster.logs import LogText, text_end
from jobs.cluster.ray_jobs import POLL_S, Daemon, Job, Jobs, ServiceJob
from jobs.cluster.simulated_kafka import reading_simulator
from jobs.commands.progress import Progress
from jobs.commands.shipped import spec_named
from jobs.daemons.readiness import is_ready, listens, ready_text

READY_TIMEOUT_S: Final = 240.0
"""Spark on Ray needs 20 s to its first micro-batch; the simulator fetches Kafka at first."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Where a command stands: its settings, the state folder, and the way to the person."""

    settings: Settings
    state: Path
    progress: Progress

    def cluster(self) -> Cluster | None:
        """The cluster that the settings mean; None if it is our own and does not run."""
        return find_cluster(self.state, self.settings.ray)


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What `finkray start` was asked for."""

    service: str
    exit_after_s: float | None = None
    foreground: bool = False
    with_simulator: bool = False
    simulator_asked: bool = False
    """Whether something was said that only a simulator which starts now can heed."""
    user: ServiceJob | None = None
    """What a user wrote, if it is such a one."""


def start(context: CommandContext, order: StartRequest) -> None:
    """Start a service, and return when it does its work (in the foreground: has ended).

    Raises
    ------
    FinkrayError
        It runs already, or it failed: the message has the end of its log.
    ClusterUnavailable
        Ray or the service did not come up in time.
    """
    cluster, services = _bring_up(context)
    with ExitStack() as ending:
        ending.enter_context(_taken_down_if_idle(context, cluster, services))
        settings = placed(context.settings, cluster)
        session = ending.enter_context(connected(cluster, settings.ray))
        if order.with_simulator:
            runs = Daemon.SIMULATOR in services.running()
            if runs and order.simulator_asked:
                raise FinkrayError(
                    "the simulator runs already, with options of its own: finkray stop simulator"
                )
            if not runs:
                _start_one(context, services, StartRequest(Daemon.SIMULATOR), settings, session)
            settings = reading_simulator(settings, context.state)
        _start_one(context, services, order, settings, session)


def order_of(settings: Settings, user: ServiceJob, order: StartRequest) -> StartRequest:
    """The order for a service that a user wrote; what is wrong with it is said now.

    Parameters
    ----------
    settings
        All settings.
    user
        What was said of the service.
    order
        The rest of what was said.

    Raises
    ------
    ServiceError
        It cannot be loaded.
    SettingsError
        There is no archive, or `since` is no time.
    """
    from finkray.serving.run import limits_of, spec_of
    from finkray.serving.worker import Worker

    archive_of(settings)
    if user.since is not None:
        try:
            utc(user.since)
        except ValueError as error:
            raise SettingsError(f"--from: {error}") from error
    spec = spec_of(user.spec, Path(user.folder))
    name = user.into or Worker(spec, limits_of(settings)).describe().name
    if name in list(Daemon):
        raise ServiceError(f"{name} is a service of finkray: give yours another name")
    return replace(order, service=name, user=user)


def stop(context: CommandContext, name: str) -> None:
    """Let a service drain and end, and take our own cluster down after the last one.

    Raises
    ------
    ClusterUnavailable
        It did not end in time.
    """
    cluster = context.cluster()
    if cluster is None:
        context.progress.say(f"{name} does not run")
        return
    services = Jobs(job_client(cluster), context.state)
    with _taken_down_if_idle(context, cluster, services):
        running = services.running()
        by_spec = [one for one in running.values() if one.spec == spec_named(name)]
        service = running.get(name) or (by_spec[0] if len(by_spec) == 1 else None)
        if service is None:
            context.progress.say(f"{name} does not run")
            return
        with (
            connected(cluster, context.settings.ray),
            context.progress.waiting(f"{name} drains") as tell,
        ):
            services.stop(service, lambda waited_s: tell(_drain_text(context, name, waited_s)))
        context.progress.say(f"{name} has ended")


def _bring_up(context: CommandContext) -> tuple[Cluster, Jobs]:
    """The cluster that is there, else a local one, and the services on it."""
    with exclusive(context.state / "services.lock"):
        cluster = context.cluster()
        if cluster is None:
            return _start_ours(context)
        if not is_on_this_machine(cluster):
            raise FinkrayError(
                f"the head of Ray at {cluster.address} is another machine: give this command there,"
                " or submit the service as the README says (ray job submit)"
            )
        return cluster, Jobs(job_client(cluster), context.state)


def _start_ours(context: CommandContext) -> tuple[Cluster, Jobs]:
    """Under the lock, so that nobody has a service on a cluster that is given up again."""
    try:
        with context.progress.waiting("a local Ray starts"):
            local = start_local_ray(context.state, context.settings.ray)
        context.progress.say(
            f"local Ray: {local.address}, dashboard {local.dashboard_url} "
            f"(its token is in {local.token_file})"
        )
        cluster = Cluster(local.address, local)
        return cluster, Jobs(job_client(cluster), context.state)
    except BaseException:
        _stop_ours(context)
        raise


def _stop_ours(context: CommandContext) -> None:
    with context.progress.waiting("the local Ray stops"):
        stop_local_ray(context.state)
    context.progress.say(f"local Ray: stopped; logs are kept in {context.state / 'logs'}")


@contextmanager
def _taken_down_if_idle(
    context: CommandContext, cluster: Cluster, services: Jobs
) -> Iterator[None]:
    """However a command ends: our own cluster does not outlive the services on it."""
    try:
        yield
    finally:
        services.forget_ended()
        if cluster.local:
            with exclusive(context.state / "services.lock"):
                if not services.running():
                    _stop_ours(context)


def _start_one(
    context: CommandContext, services: Jobs, order: StartRequest, settings: Settings, session: Path
) -> None:
    name = order.service
    with exclusive(context.state / "services.lock"):
        services.refuse_second(name)
        if name is Daemon.UI and listens(settings.ui.host, settings.ui.port):
            raise FinkrayError(
                f"something listens on {settings.ui.host}:{settings.ui.port} already: "
                "set ui.port to another port"
            )
        service = services.submit(name, settings, order.exit_after_s, order.user)
    log = service.log_path(session)
    context.progress.say(f"{name}: job {service.job_id}, log {log}")
    if order.foreground:
        service = _attend(context, services, service, log)
    else:
        with context.progress.waiting(f"{name} starts"):
            service = services.wait_until_ready(
                service, lambda: is_ready(context.state, service, settings), READY_TIMEOUT_S
            )
    if service.status == "FAILED":
        tail = "" if order.foreground else f". The end of its log:\n{text_end(log)}"
        raise FinkrayError(f"{name} has failed{tail}")
    if not order.foreground:
        context.progress.say(ready_text(context.state, service, settings))


def _attend(context: CommandContext, services: Jobs, service: Job, log: Path) -> Job:
    """Show the log until the service has ended; Ctrl-C lets it drain, a second one leaves it."""
    text, told = LogText(log), False
    with asked_by_interrupt() as asked:
        while not service.ended:
            if asked.is_set() and not told:
                told = True
                context.progress.say(
                    f"{service.name} is asked to drain; Ctrl-C again leaves it to that"
                )
                services.ask_to_stop(service)
            context.progress.write(text.more())
            time.sleep(POLL_S)
            service = services.look(service)
    context.progress.write(text.more())
    return service


def _drain_text(context: CommandContext, name: str, waited_s: float) -> str:
    text = duration_text(waited_s)
    snapshot = read_board(ARCHIVE_BOARD, context.settings) if name is Daemon.ARCHIVE else None
    return f"{text}, {bytes_text(snapshot.held_bytes)} held" if snapshot else text
