import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ray.job_submission import JobDetails, JobStatus, JobType

from finkray.driver.archiver import CLOSE_S, DRAIN_S
from finkray.settings.model import Settings
from jobs.cluster import ray_jobs
from jobs.cluster.job import Job, ServiceJob
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.registry import DAEMONS
from jobs.daemons.service import SERVICE


def job(**changes: Any) -> JobDetails:
    facts: dict[str, Any] = {
        "type": JobType.SUBMISSION,
        "submission_id": "finkray-archive-1",
        "status": JobStatus.RUNNING,
        "entrypoint": "/venv/bin/python -m finkray.archive --config /state/1.json",
        "start_time": 1_767_225_600_000,
        "metadata": {"finkray.service": "archive"},
        "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60"}},
    }
    return JobDetails(**(facts | changes))


def job_of(details: JobDetails) -> Job | None:
    return ray_jobs.job_of(details, tuple(DAEMONS.values()), SERVICE)


def test_ray_leaves_the_archive_time_to_drain_and_to_end() -> None:
    needed_s = DRAIN_S + CLOSE_S
    assert Settings().ray.stop_wait_s > needed_s
    readme = (Path(__file__).parents[4] / "README.md").read_text()
    (told_s,) = re.findall(r'"RAY_JOB_STOP_WAIT_TIME_S": "(\d+)"', readme)
    assert int(told_s) > needed_s


def test_a_service_that_start_began() -> None:
    service = job_of(job())
    assert service is not None
    assert (service.name, service.daemon) == ("archive", ARCHIVE)
    assert service.since == datetime(2026, 1, 1, tzinfo=UTC)
    assert service.stop_wait_s == 60
    assert service.log_path(Path("/s")) == Path("/s/logs/job-driver-finkray-archive-1.log")


@pytest.mark.parametrize(
    ("entrypoint", "name"),
    [
        ("python -m finkray.archive --config conf/finkray.toml", "archive"),
        ("python -m finkray.archive", "archive"),
        ("python -m jobs.daemons.page", "ui"),
        ("python -m jobs.daemons.simulator -c x", "simulator"),
        ("python -m jobs.daemons.aggregation -c x", "aggregation"),
        ("python -m finkray.archivers", None),
        ("python -m", None),
        ("python train.py", None),
    ],
)
def test_a_job_that_was_submitted_by_hand(entrypoint: str, name: str | None) -> None:
    found = job_of(job(entrypoint=entrypoint, metadata={}, runtime_env=None))
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("module", "name"),
    [("jobs.page", "ui"), ("jobs.simulator", "simulator"), ("jobs.aggregation", "aggregation")],
)
def test_a_job_that_the_release_before_submitted_is_recognised(module: str, name: str) -> None:
    found = job_of(job(entrypoint=f"python -m {module} -c x", metadata={}))
    assert found is not None
    assert (found.name, found.daemon) == (name, DAEMONS[name])


@pytest.mark.parametrize("module", ["jobs.serve", "jobs.daemons.service"])
def test_a_service_that_was_submitted_by_hand(module: str) -> None:
    command = f"python -m {module} --config x --service mymodule:Bright"
    found = job_of(job(entrypoint=command, metadata={}))
    assert found is not None
    assert (found.name, found.spec) == ("mymodule:Bright", "mymodule:Bright")
    into = job_of(job(entrypoint=f"{command} --into trial", metadata={}))
    assert into is not None
    assert (into.name, into.spec, into.daemon) == ("trial", "mymodule:Bright", SERVICE)


def test_a_service_that_a_user_wrote() -> None:
    service = job_of(job(metadata={"finkray.service": "bright", "finkray.spec": "mymodule:Bright"}))
    assert service is not None
    assert (service.name, service.spec) == ("bright", "mymodule:Bright")


def test_the_command_of_such_a_service() -> None:
    user = ServiceJob("mymodule:Bright", "/home/me", "trial", "2026-11-24")
    place = ["--service", "mymodule:Bright", "--folder", "/home/me"]
    assert user.arguments == [*place, "--into", "trial", "--since", "2026-11-24"]


def test_other_jobs_are_none_of_ours() -> None:
    assert job_of(job(submission_id=None)) is None
    assert job_of(job(metadata={"finkray.service": "something new"})) is None


@pytest.mark.parametrize(
    ("status", "ended"),
    [("PENDING", False), ("RUNNING", False), ("STOPPED", True), ("SUCCEEDED", True)],
)
def test_when_it_has_ended(status: str, *, ended: bool) -> None:
    service = job_of(job(status=JobStatus(status)))
    assert service is not None
    assert service.ended is ended
