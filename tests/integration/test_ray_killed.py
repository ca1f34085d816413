"""Processes of the local Ray are killed under a job: the watcher brings it back, and says so."""

import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import finkray
from finkray.host.processes import command_of, running_processes
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay, find_local_ray, stop_local_ray
from jobs.cluster.simulated_kafka import running_kafka
from jobs.cluster.started_jobs import started_jobs
from jobs.cluster.watcher_process import end_watcher, watcher_runs
from jobs.daemons.page_facts import EndedJobsSource
from tests.support.archiving import wait_until
from tests.support.shift import page_head
from tests.support.small_archives import archive_sample_alerts
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]

RAYLET = "raylet/raylet"
GCS = "gcs/gcs_server"

OF_RAY = (
    RAYLET,
    GCS,
    "dashboard/dashboard.py",
    "ray::DashboardAgent",
    "ray::RuntimeEnvAgent",
)
"""Processes of Ray's own, by a text at the beginning of their command lines."""

SUPERVISOR = "ray::JobSupervisor"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with an archive of a few alerts, so that its classes can be counted."""
    workspace = make_workspace(tmp_path)
    archive = tmp_path / "archive"
    archive_sample_alerts(LocalStorage(archive))
    yield workspace.with_env(FINKRAY__ARCHIVE__URI=str(archive))
    stop_local_ray(workspace.state)


def local_ray(workspace: Workspace) -> LocalRay:
    found = find_local_ray(workspace.state)
    assert found is not None
    return found


def kill(ray: LocalRay, mark: str) -> None:
    """Kill the processes of this Ray with a text at the beginning of their command line."""
    head = ray.process.process()
    assert head is not None
    # The raylet has the agents' commands behind its first words.
    family = head.children(recursive=True)
    victims = [each for each in family if mark in " ".join(command_of(each)[:4])]
    assert victims, f"no process of Ray has {mark}"
    for victim in victims:
        victim.kill()


def runs_again(workspace: Workspace, name: str, restarts: int) -> bool:
    """Whether a job was started again so often, and runs."""
    job, ray = started_jobs(workspace.state)[name], find_local_ray(workspace.state)
    report = (ray.dashboard.job_reports() or {}).get(job.job_id) if ray else None
    return job.restarts == restarts and report is not None and report.status == "RUNNING"


def processes_of(workspace: Workspace) -> list[psutil.Process]:
    """All processes that have the state folder in their command line or environment."""
    found = []
    for process in running_processes():
        if process.pid == os.getpid():
            continue
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(workspace.state) in word for word in words):
            found.append(process)
    return found


def assert_no_process_is_left(workspace: Workspace) -> None:
    try:
        wait_until("no process is left", lambda: not processes_of(workspace))
    except AssertionError as error:
        left = [
            each.as_dict(["pid", "ppid", "status", "cmdline"]) for each in processes_of(workspace)
        ]
        raise AssertionError(f"{error}: {left}") from error


@pytest.mark.parametrize(
    "kills",
    [
        1,
        pytest.param(
            len(OF_RAY) + 1,
            marks=pytest.mark.nightly(
                "tests/integration/test_ray_killed.py::"
                "test_a_job_runs_again_whichever_process_of_ray_was_killed[1]"
            ),
        ),
    ],
)
def test_a_job_runs_again_whichever_process_of_ray_was_killed(
    workspace: Workspace, kills: int
) -> None:
    """One of the processes in a run of each commit, another each time; all of them by night."""
    started = workspace.command("start", "aggregation")
    assert started.returncode == 0, started.stderr
    victims = random.sample((*OF_RAY, SUPERVISOR), kills)
    for restarts, mark in enumerate(victims, start=1):
        kill(local_ray(workspace), mark)
        wait_until(
            f"it runs again after {mark}",
            lambda n=restarts: runs_again(workspace, "aggregation", n),  # type: ignore[misc]
        )
    text = " ".join(workspace.command("status").stdout.split())
    assert "aggregation was started again after an unexpected end" in text
    assert f"restarts: {kills}" in text

    # Without the watcher, status says what has ended and what to do, and stop confirms it.
    end_watcher(workspace.state)
    ray = local_ray(workspace)
    kill(ray, GCS)
    reason = "the local Ray ended: its process gcs_server ended (exit code -9"
    texts: list[str] = []

    def status_says_why() -> bool:
        texts.append(" ".join(workspace.command("status").stdout.split()))
        return reason in texts[-1]

    wait_until("status says which process ended", status_says_why)
    text = texts[-1]
    assert "ALARM job-ended since " in text
    assert "nothing runs: the local Ray ended, and no command stopped it" in text
    assert "finkray start aggregation starts it again" in text
    storage = LocalStorage(workspace.folder / "archive")
    head = page_head(storage, None, EndedJobsSource(workspace.state).read())
    for words in (reason, "finkray start aggregation starts it again"):
        assert words in head
    assert re.search(r"job-ended since \S+ \S+ UTC", head)
    (told,) = json.loads(workspace.command("status", "--json").stdout)["ended_unexpectedly"]
    assert told["name"] == "aggregation"
    assert workspace.command("stop", "aggregation").returncode == 0
    assert "nothing runs; start it with" in workspace.command("status").stdout
    assert not ray.home.exists()
    assert started_jobs(workspace.state) == {}
    assert list((workspace.state / "settings").iterdir()) == []
    assert_no_process_is_left(workspace)


@pytest.mark.nightly(
    "tests/integration/test_ray_killed.py::"
    "test_a_job_runs_again_whichever_process_of_ray_was_killed[1]"
)
@pytest.mark.kafka
@pytest.mark.spark
def test_a_night_goes_on_after_the_raylet_was_killed(workspace: Workspace) -> None:
    """Archive and simulator run again with the same Kafka; no alert is lost or doubled."""
    archive = workspace.folder / "night"
    night = Workspace(
        workspace.folder,
        {
            **{name: value for name, value in workspace.env.items() if "__KAFKA__" not in name},
            "FINKRAY__ARCHIVE__URI": str(archive),
            "FINKRAY__RAY__LOCAL_CPUS": "2",
            "FINKRAY__RAY__LOCAL_OBJECT_STORE_BYTES": "1 GiB",
            "FINKRAY__SIMULATOR__ALERTS": "30",
        },
    )
    started = night.command("start", "archive", "--simulator")
    assert started.returncode == 0, started.stderr
    before = running_kafka(night.state)
    assert before is not None
    pid, servers, cluster_id = before.pid, before.bootstrap_servers, before.cluster_id
    wait_until("alerts are archived", lambda: len(archived(archive)) >= 30)
    kill(local_ray(night), RAYLET)

    def all_run_again() -> bool:
        kafka = running_kafka(night.state)
        return (
            kafka is not None
            and kafka.pid != pid
            and all(runs_again(night, name, 1) for name in ("simulator", "archive"))
        )

    wait_until("archive and simulator run again", all_run_again)
    after = running_kafka(night.state)
    assert after is not None
    assert (after.bootstrap_servers, after.cluster_id) == (servers, cluster_id)
    # The simulator plays its night once more.
    wait_until("the second night is archived", lambda: len(archived(archive)) >= 60)
    audit = night.command("audit", "--simulator")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    offsets = archived(archive)
    assert len(offsets) == len(set(offsets))

    ray = local_ray(night)
    for name in ("archive", "simulator"):
        stopped = night.command("stop", name)
        assert stopped.returncode == 0, stopped.stderr
    assert running_kafka(night.state) is None
    assert find_local_ray(night.state) is None
    assert not ray.home.exists()
    assert not watcher_runs(night.state)
    assert list((night.state / "settings").iterdir()) == []
    assert_no_process_is_left(night)


def archived(root: Path) -> list[tuple[int, int]]:
    """Partition and offset of each alert that readers of the archive see."""
    if not (root / "alerts").exists():
        return []
    columns = finkray.open_archive(root).dataset().to_table(["kafka_partition", "kafka_offset"])
    return list(zip(*(column.to_pylist() for column in columns.columns), strict=True))
