"""Processes of the local Ray are killed under a job: it is told, and nothing is left behind."""

import json
from pathlib import Path

import psutil
import pytest

from jobs.cluster.local_ray import LocalRay, find_local_ray, stop_local_ray
from tests.support.archiving import wait_until
from tests.support.workspace import make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def of_ray(ray: LocalRay, mark: str) -> psutil.Process:
    """The process of this Ray with a text in its command line."""
    head = ray.process.process()
    assert head is not None
    for process in head.children(recursive=True):
        try:
            if mark in " ".join(process.cmdline()):
                return process
        except psutil.NoSuchProcess:
            continue
    raise AssertionError(f"no process of Ray has {mark}")


def test_status_names_the_job_that_ended_with_ray(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    started = workspace.command("start", "ui")
    try:
        assert started.returncode == 0, started.stderr
        ray = find_local_ray(workspace.state)
        assert ray is not None
        of_ray(ray, "gcs_server").kill()
        wait_until("Ray has ended", lambda: find_local_ray(workspace.state) is None)
        text = " ".join(workspace.command("status").stdout.split())
        assert "ALARM job-ended since " in text
        assert "the local Ray ended: its process gcs_server ended (exit code -9" in text
        assert "finkray start ui starts it again" in text
        (told,) = json.loads(workspace.command("status", "--json").stdout)["ended_unexpectedly"]
        assert told["name"] == "ui"
        assert workspace.command("stop", "ui").returncode == 0
        assert "nothing runs; start it with" in workspace.command("status").stdout
        assert not ray.folder.exists()
    finally:
        stop_local_ray(workspace.state)
