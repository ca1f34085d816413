"""The local Ray cluster that `finkray start` brings up and the last `finkray stop` takes down.

All its ports are on the loopback address. It has a session, a temporary folder and a token of its
own; other Ray clusters on the machine are neither seen nor disturbed.

    /tmp/finkray-…/          home of the cluster: its owner alone may enter
        auth_token           the token
        ray/                 Ray's temporary folder: sockets, logs

Ray lets everybody write to its temporary folder and to what is in it (it sets mode 0777, so that
several users may share a cluster). So the folder stands in one that other users cannot enter, and
the token stands outside of it.
"""

import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from finkray.errors import ClusterUnavailable
from finkray.host.interrupt import deferred_interrupts
from finkray.host.java import find_java
from finkray.host.lock import exclusive
from finkray.host.ports import LOOPBACK, free_ports, is_free, listens
from finkray.host.process import ProcessRecord, ended_on_error, start_detached
from finkray.host.records import read_record, write_private
from finkray.settings.ray import RaySettings
from finkray.settings.reader import ENV_PREFIX
from jobs.cluster.logs import text_end
from jobs.cluster.orphans import HOME_VARIABLE, kill, left_of_job, orphans
from jobs.cluster.ray_dashboard import RayDashboard
from jobs.cluster.started_jobs import UnexpectedEnd
from jobs.cluster.state import refuse_shared
from jobs.cluster.watcher_process import end_watcher

_LOG = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 180.0
"""Eight seconds on a free machine; two cores with a load of fifteen took seventy."""

START_TRIES: Final = 3
"""`ray start` gives up when its node takes more than 30 s, as on a very busy machine, or when
another program takes one of its ports first."""

STOP_GRACE_S: Final = 20.0
"""`ray start` needs three to four seconds to end its processes."""

WORKER_NICENESS: Final = 5
"""Niceness of Ray's workers. With Ray's own 15 a process of the archive gets a 28th of the time of
a program of niceness 0, and a ninth of one of 5: on a busy machine executors and leases were late.
Ray's daemons have 0."""

_EXIT_LOG: Final = "ray_process_exit.log"
"""The log in which `ray start --block` names a process that ended, before it ends the others."""

_EXITED: Final = re.compile(r"^ *(\w+) \[exit code=(.+)\]$", re.MULTILINE)

_JOB_LOGS: Final = "job-driver-*.log"

_ADVICE: Final = (
    "processes of the local Ray that still run are not known. `grep -l FINKRAY_LOCAL_RAY_HOME "
    "/proc/[0-9]*/environ` names them: end those of this state folder, then delete the file"
)

_LONGEST_TEMP: Final = 24
"""Ray makes sockets below its folder, and a socket's path ends at 107 bytes."""


@dataclass(frozen=True, slots=True)
class LocalRay:
    """A local cluster.

    Attributes
    ----------
    process
        `ray start --block`, the parent of all the others.
    address
        `host:port` of its head.
    dashboard_url
        Its dashboard, which asks for the token.
    home
        The private folder of the cluster, with the token and `folder` in it.
    folder
        Ray's temporary folder: sockets and logs.
    """

    process: ProcessRecord
    address: str
    dashboard_url: str
    home: Path
    folder: Path

    @property
    def token_file(self) -> Path:
        """Path of the token, which its owner alone can read."""
        return self.home / "auth_token"

    @property
    def dashboard(self) -> RayDashboard:
        """Its dashboard, which can be asked."""
        return RayDashboard(self.dashboard_url, self.token_file)

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which a process connects to this cluster."""
        return {
            "RAY_ADDRESS": self.address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
            # Despite its name: when it is off, Ray stays on the loopback address on Linux too,
            # where it would otherwise listen on all of the machine's interfaces.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        }


def find_local_ray(state: Path) -> LocalRay | None:
    """Return the cluster that runs, whichever command started it; None if it has ended.

    Raises
    ------
    SettingsError
        Another user may have changed the state folder or the home of the cluster.
    """
    ray = _last(state)
    if ray is None or not _is_whole(ray):
        return None
    refuse_shared(ray.home, "home of the local Ray", others_may_read=False)
    return ray


def ended_local_ray(state: Path) -> UnexpectedEnd | None:
    """Return when and how the cluster ended that no command took down; None if there is none."""
    ray = _last(state)
    if ray is None or _is_whole(ray):
        return None
    # Only processes of Ray write there, and the raylet every few seconds.
    logs = [path for path in ray.folder.glob("session_2*/logs/*") if path.is_file()]
    times = [path.stat().st_mtime for path in (state / "ray.log", *logs) if path.exists()]
    exits = [path.read_text("utf-8") for path in logs if path.name == _EXIT_LOG]
    reason = ", ".join(
        f"its process {name} ended (exit code {code})"
        for text in exits
        for name, code in _EXITED.findall(text)
    )
    unseen = (
        "its raylet ended, as after a kill of one of its agents"
        if ray.process.process()
        else "it was killed, or the machine was restarted"
    )
    return UnexpectedEnd(
        at=datetime.fromtimestamp(max([ray.process.started_at_unix_s, *times]), UTC),
        reason=f"the local Ray ended: {reason or unseen}",
    )


def job_logs(state: Path) -> dict[str, Path]:
    """Return the logs of jobs by job id: those of the last cluster, and those that were kept."""
    ray = _last(state)
    found = [*(state / "logs").glob(_JOB_LOGS), *(_logs_of_jobs(ray) if ray else ())]
    return {path.stem.removeprefix("job-driver-"): path for path in found}


def start_local_ray(state: Path, settings: RaySettings) -> LocalRay:
    """Start the cluster, or return the one that runs.

    Raises
    ------
    ClusterUnavailable
        It ended or did not answer in time; the message has the end of its log.
    SettingsError
        There is no Java for Spark to run on.
    """
    log = state / "ray.log"
    with exclusive(state / "ray.lock"):
        if running := find_local_ray(state):
            return running
        _clear(state)
        for left in reversed(range(START_TRIES)):
            home = _make_home()
            try:
                ray, last_port = _launch(state, settings, home)
                if _comes_up(ray, last_port):
                    return ray
            except BaseException:
                if (started := _last(state)) and started.process.process():
                    _end(started)
                _clear(state)
                shutil.rmtree(home, ignore_errors=True)  # of a Ray that could not be recorded
                raise
            _clear(state)
            if left:
                _LOG.warning("local Ray ended at its start; starting it again, see %s", log)
        raise ClusterUnavailable(
            f"local Ray ended at each of {START_TRIES} starts. The end of {log}:\n{text_end(log)}"
        )


def stop_local_ray(state: Path) -> None:
    """Take the cluster down with its watcher and all its processes; keep the logs of its jobs."""
    end_watcher(state)
    with exclusive(state / "ray.lock"):
        if (ray := _last(state)) and ray.process.process():
            _end(ray)
        _clear(state)


def end_left_job(state: Path, settings: Path) -> bool:
    """End what is left of a job whose cluster was killed; return whether something was.

    Parameters
    ----------
    state
        The state folder.
    settings
        The settings file of the job.
    """
    with exclusive(state / "ray.lock"):
        ray = _last(state)
        if ray is None or _is_whole(ray):
            return False
        left = left_of_job(ray.home, settings)
        kill(left)
        return bool(left)


def _launch(state: Path, settings: RaySettings, home: Path) -> tuple[LocalRay, int]:
    """Start the processes; return the cluster, and the port on which it listens last."""
    folder = home / "ray"
    write_private(home / "auth_token", secrets.token_hex(32))
    head, dashboard, *others = free_ports(9)
    if settings.local_dashboard_port and is_free(settings.local_dashboard_port):
        dashboard = settings.local_dashboard_port
    agent, agent_grpc, runtime_env_agent, metrics, client, autoscaler, dashboard_metrics = others
    options = {
        "node-ip-address": LOOPBACK,
        "port": head,
        "dashboard-host": LOOPBACK,
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "dashboard-agent-grpc-port": agent_grpc,
        "runtime-env-agent-port": runtime_env_agent,
        "metrics-export-port": metrics,
        "ray-client-server-port": client,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "temp-dir": folder,
        "num-cpus": settings.local_cpus or os.cpu_count() or 1,
        "object-store-memory": int(settings.local_object_store_bytes),
    }
    ray = LocalRay(
        ProcessRecord.of(os.getpid(), mark=str(folder)),  # the head's takes its place
        f"{LOOPBACK}:{head}",
        f"http://{LOOPBACK}:{dashboard}",
        home,
        folder,
    )
    command = [
        *(sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--disable-usage-stats", "--log-color=false", "--include-log-monitor=false"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    environment = {
        "RAY_worker_niceness": str(WORKER_NICENESS),
        **inherited(find_java().environment()),
        **ray.environment(),
        HOME_VARIABLE: str(home),
        # Ray would start as many idle Python workers as there are CPUs for each new driver, and
        # each of Spark's Python workers is one.
        "RAY_prestart_worker_first_driver": "false",
        "AUTOSCALER_METRIC_PORT": str(autoscaler),
        "DASHBOARD_METRIC_PORT": str(dashboard_metrics),
    }
    # The cluster outlives this command, so it must be recorded; and its jobs drain by SIGINT.
    with deferred_interrupts():
        child = start_detached(
            command, log=state / "ray.log", environment=environment, die_with_parent=False
        )
        with ended_on_error(child):
            process = ProcessRecord.of(child.pid, mark=str(folder))
            ray = replace(ray, process=process)
            record = {**asdict(ray), "home": str(home), "folder": str(folder)}
            write_private(state / "ray.json", json.dumps(record, indent=2))
    return ray, client


def inherited(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what only this command needs: later ones use the cluster."""
    prefixes = (ENV_PREFIX, "RAY_ADDRESS", "RAY_AUTH_")
    return {name: value for name, value in env.items() if not name.startswith(prefixes)}


def _make_home() -> Path:
    """Create a folder that its owner alone may enter."""
    parent = tempfile.gettempdir()
    return Path(
        tempfile.mkdtemp(prefix="finkray-", dir="/tmp" if len(parent) > _LONGEST_TEMP else parent)  # noqa: S108
    )


def _comes_up(ray: LocalRay, last_port: int) -> bool:
    """Wait until the cluster can be used; return False if it has ended instead.

    It also ends when another program takes one of its ports first, though it may have a node by
    then: so its last port counts too.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while ray.process.process():
        if listens(LOOPBACK, last_port) and ray.dashboard.has_node():
            return True
        if time.monotonic() > deadline_s:
            raise ClusterUnavailable(
                f"Ray does not answer on {ray.dashboard_url} within {START_TIMEOUT_S:.0f} s"
            )
        time.sleep(0.2)
    return False


def _is_whole(ray: LocalRay) -> bool:
    """Return whether the head runs and has not lost its raylet.

    A raylet whose agent was killed ends with exit code 0. `ray start --block` takes that for a
    wanted end and stays, without a node and with jobs that are reported as running for ever.
    """
    head = ray.process.process()
    if head is None:
        return False
    if not any(ray.folder.glob("session_2*/logs/raylet.out")):
        return True  # it is still starting
    try:
        return any(
            child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE
            for child in head.children()
        )
    except psutil.NoSuchProcess:
        return _is_whole(ray)  # one of them ended just now


def _last(state: Path) -> LocalRay | None:
    """Return the cluster that was started last and not cleared away, alive or not."""
    return read_record(state / "ray.json", _parse, _ADVICE)


def _parse(data: bytes) -> LocalRay:
    raw = json.loads(data)
    return LocalRay(
        ProcessRecord.from_json(raw["process"]),
        raw["address"],
        raw["dashboard_url"],
        Path(raw.get("home", raw["folder"])),  # a cluster of an older release had no home
        Path(raw["folder"]),
    )


def _logs_of_jobs(ray: LocalRay) -> Iterator[Path]:
    return ray.folder.glob(f"session_2*/logs/{_JOB_LOGS}")


def _end(ray: LocalRay) -> None:
    parent = ray.process.process()
    children = parent.children(recursive=True) if parent else []
    ray.process.end(STOP_GRACE_S)
    kill(children)


def _clear(state: Path) -> None:
    """Remove what a cluster that has ended left: processes, its folder, its record."""
    ray = _last(state)
    if ray is None:
        return
    kill(orphans(ray.process, ray.home))
    logs = state / "logs"
    logs.mkdir(exist_ok=True)
    for log in _logs_of_jobs(ray):
        shutil.copyfile(log, logs / log.name)
    shutil.rmtree(ray.home, ignore_errors=True)
    (state / "ray.json").unlink()
