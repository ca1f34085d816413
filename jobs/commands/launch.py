"""`finkray start`: the cluster, the job on it, and the progress shown."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from finkray.errors import ClusterUnavailable, FinkrayError, ServiceError, SettingsError
from finkray.host.interrupt import stop_on_interrupt
from finkray.host.lock import exclusive
from finkray.kafka.consumer import refuse_wrong_options
from finkray.settings.model import Settings
from finkray.storage.hours import utc
from jobs.cluster.absolute_paths import placed
from jobs.cluster.archive import archive_of
from jobs.cluster.connect import Cluster, connected
from jobs.cluster.job import Daemon, Job, ServiceJob
from jobs.cluster.logs import LogText, failures_in, text_end
from jobs.cluster.ray_jobs import POLL_S, Jobs
from jobs.cluster.restart_plan import is_watched
from jobs.cluster.simulated_alerts import refuse_mixing
from jobs.cluster.simulated_kafka import reading_simulator
from jobs.cluster.started_jobs import (
    StartedJob,
    forget,
    record_start,
    started_jobs,
)
from jobs.commands.context import CommandContext
from jobs.commands.local_cluster import bring_up, taken_down_if_idle
from jobs.commands.ray_watcher import ensure_watcher
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.registry import DAEMONS
from jobs.daemons.service import SERVICE
from jobs.daemons.simulator import SIMULATOR

FAILED_STARTS: Final = 3
"""A process may fail once because of another that ends, such as an archive before it; its third
start comes two seconds after that of the first failure, and each takes some."""

READY_TIMEOUT_S: Final = 240.0
"""Spark on Ray needs 20 s to its first micro-batch; the simulator fetches Kafka at first."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What `finkray start` is to start.

    Attributes
    ----------
    name
        Of the job.
    daemon
        What it runs.
    exit_after_s
        It ends by itself after this many seconds.
    foreground
        Whether to show its log until it has ended.
    with_simulator
        Whether it reads the simulator's Kafka, which is started if it does not run.
    simulator_configured
        Whether options were given that only a simulator which starts now can follow.
    service
        Which service, if the daemon is the one that runs services.
    new_archive
        Whether an archive may begin in a folder whose archive vanished.
    """

    name: str
    daemon: Daemon
    exit_after_s: float | None = None
    foreground: bool = False
    with_simulator: bool = False
    simulator_configured: bool = False
    service: ServiceJob | None = None
    new_archive: bool = False


def request_service(
    settings: Settings,
    service: ServiceJob,
    *,
    exit_after_s: float | None = None,
    foreground: bool = False,
) -> StartRequest:
    """Return the request to start a service; what is wrong with the service is found here.

    Raises
    ------
    ServiceError
        It cannot be loaded, or has the name of a daemon.
    SettingsError
        There is no archive, `since` is not a time, or `into` is not a name.
    """
    from finkray.services.service import check_results_name
    from finkray.serving.run import limits_of, spec_of
    from finkray.serving.worker import Worker

    archive = archive_of(settings)
    if service.into is not None:
        check_results_name(service.into)
    if service.since is not None:
        try:
            utc(service.since)
        except ValueError as error:
            raise SettingsError(f"--from: {error}") from error
    spec = spec_of(service.spec, Path(service.folder))
    name = service.into or Worker(spec, limits_of(settings), archive).describe().name
    if name in DAEMONS:
        raise ServiceError(f"{name} is a daemon of finkray: give your service another name")
    return StartRequest(name, SERVICE, exit_after_s, foreground, service=service)


def start(context: CommandContext, request: StartRequest) -> None:
    """Start a job, and return when it does its work (in the foreground: when it has ended).

    Raises
    ------
    FinkrayError
        It runs already, or it failed: the message has the end of its log.
    SettingsError
        A setting is wrong, and nothing was started.
    ClusterUnavailable
        Ray or the job did not come up in time.
    """
    if request.daemon is ARCHIVE:
        if not request.with_simulator:
            refuse_wrong_options(context.settings.kafka.client_config())
        refuse_mixing(context.settings, simulator=request.with_simulator)
    if context.cluster() is None:
        _check_start(context, request, context.settings)  # before a local Ray is started in vain
    cluster, jobs = bring_up(context)
    with ExitStack() as ending:
        ending.enter_context(taken_down_if_idle(context, cluster, jobs))
        settings = placed(context.settings, cluster)
        session = ending.enter_context(connected(cluster, settings.ray))
        begun = ending.enter_context(_stopped_on_interrupt(context, jobs))
        if request.with_simulator:
            runs = SIMULATOR.name in jobs.running()
            if runs and request.simulator_configured:
                raise FinkrayError(
                    "the simulator runs already, with options of its own: finkray stop simulator"
                )
            if not runs:
                simulator = StartRequest(SIMULATOR.name, SIMULATOR)
                _start_job(
                    context, cluster, jobs, simulator, settings, session=session, begun=begun
                )
            settings = reading_simulator(settings, context.state)
        _start_job(context, cluster, jobs, request, settings, session=session, begun=begun)


@contextmanager
def _stopped_on_interrupt(context: CommandContext, jobs: Jobs) -> Iterator[list[Job]]:
    """Yield a list of jobs that are stopped again if the block is interrupted, as by Ctrl-C."""
    begun: list[Job] = []
    try:
        yield begun
    except KeyboardInterrupt:
        for job in reversed(begun):  # what reads the simulator's Kafka ends before it
            _forget(context, job)
            context.progress.say(f"{job.name} stops again; Ctrl-C returns without waiting")
            jobs.ask_to_stop(job)
            jobs.wait_until_ended(job, lambda _: None)
        raise


def _forget(context: CommandContext, job: Job) -> None:
    with exclusive(context.state / "services.lock"):
        started = started_jobs(context.state).get(job.name)
        if started and started.job_id == job.job_id:
            forget(context.state, [job.name])


def _check_start(context: CommandContext, request: StartRequest, settings: Settings) -> None:
    request.daemon.check_start(settings)
    if not request.new_archive:
        request.daemon.check_folder(settings, context.state)


def _start_job(
    context: CommandContext,
    cluster: Cluster,
    jobs: Jobs,
    request: StartRequest,
    settings: Settings,
    *,
    session: Path,
    begun: list[Job],
) -> None:
    name, daemon = request.name, request.daemon
    with exclusive(context.state / "services.lock"):
        jobs.refuse_second(name)
        _check_start(context, request, settings)
        job = jobs.submit(name, daemon, settings, request.exit_after_s, request.service)
        started = StartedJob(
            name=name,
            job_id=job.job_id,
            address="" if cluster.local else cluster.address,
            started_at=datetime.now(UTC),
            exit_after_s=request.exit_after_s,
            foreground=request.foreground,
            service=request.service,
        )
        record_start(context.state, started)
        begun.append(job)
        if is_watched(started):
            ensure_watcher(context.state)
    log = job.log_path(session)
    context.progress.say(f"{name}: job {job.job_id}, log {log}")

    def ready() -> bool:
        refuse_restarts(name, log)
        return daemon.is_ready(job, settings, context.state)

    if request.foreground:
        begun.clear()  # it is stopped in another way
        job = _follow(context, jobs, job, log)
    else:
        with context.progress.waiting(f"{name} starts"):
            job = jobs.wait_until_ready(job, ready, READY_TIMEOUT_S)
    with exclusive(context.state / "services.lock"):
        daemon.note_folder(settings, context.state)
    if job.ended:
        _forget(context, job)  # this command tells how it ended
    if job.status == "FAILED":
        tail = "" if request.foreground else f". The end of its log:\n{text_end(log)}"
        raise FinkrayError(f"{name} has failed{tail}")
    if not request.foreground:
        ended = f"{name} has ended"
        context.progress.say(
            ended if job.ended else daemon.ready_text(job, settings, context.state)
        )


def refuse_restarts(name: str, log: Path) -> None:
    """Refuse to wait for a job that fails again and again at its start; it is left to try.

    Raises
    ------
    ClusterUnavailable
        It has failed as often as that is no accident any more.
    """
    failures = failures_in(LogText(log).more())
    if len(failures) >= FAILED_STARTS:
        raise ClusterUnavailable(
            f"{name} fails at its start and is tried again and again: {failures[-1]}. It starts "
            f"when that is mended; `finkray logs {name}` shows more, `finkray stop {name}` ends it"
        )


def _follow(context: CommandContext, jobs: Jobs, job: Job, log: Path) -> Job:
    """Show the log until the job has ended; Ctrl-C lets it drain, a second one leaves it."""
    text, stopping = LogText(log), False
    with stop_on_interrupt() as interrupted:
        while not job.ended:
            if interrupted.is_set() and not stopping:
                stopping = True
                _forget(context, job)
                context.progress.say(
                    f"{job.name} drains and stops; Ctrl-C again returns without waiting"
                )
                jobs.ask_to_stop(job)
            context.progress.show(text.more())
            time.sleep(POLL_S)
            job = jobs.refresh(job)
    context.progress.show(text.more())
    return job
