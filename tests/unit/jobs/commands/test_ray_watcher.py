"""The process of the Ray watcher, where there is no Ray to start."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from jobs.cluster.local_ray import stop_local_ray
from jobs.cluster.started_jobs import StartedJob, forget, record_start
from jobs.cluster.watcher_process import watcher_runs
from jobs.commands.ray_watcher import ensure_watcher
from tests.support.archiving import wait_until

KILLED = StartedJob(name="archive", job_id="archive-1", started_at=datetime.now(UTC))


def test_it_leaves_when_no_job_is_left_to_watch(tmp_path: Path) -> None:
    ensure_watcher(tmp_path)
    wait_until("it has left", lambda: not watcher_runs(tmp_path))
    wait_until("its record is gone", lambda: not (tmp_path / "watcher.json").exists())


def test_there_is_one_for_a_state_folder_and_a_stop_of_ray_ends_it(tmp_path: Path) -> None:
    record_start(tmp_path, KILLED)
    ensure_watcher(tmp_path)
    record = (tmp_path / "watcher.json").read_text()
    ensure_watcher(tmp_path)
    assert (tmp_path / "watcher.json").read_text() == record
    assert watcher_runs(tmp_path)
    stop_local_ray(tmp_path)
    assert not watcher_runs(tmp_path)
    assert not (tmp_path / "watcher.json").exists()


def test_a_start_that_fails_is_told_in_its_log_and_tried_again(tmp_path: Path) -> None:
    record_start(tmp_path, KILLED)  # and there are no settings of it
    ensure_watcher(tmp_path)
    log = tmp_path / "watcher.log"
    try:
        wait_until("a second try", lambda: log.read_text().count("restart failed") == 2)
        assert "Ray watcher restarts what ended unexpectedly: archive" in log.read_text()
        assert "archive-1.json" in log.read_text()
        assert "Traceback" not in log.read_text()
        forget(tmp_path, ["archive"])
        wait_until("it has left", lambda: not watcher_runs(tmp_path))
    finally:
        stop_local_ray(tmp_path)


def test_it_is_cheap() -> None:
    code = (
        "import sys, jobs.commands.ray_watcher\n"
        "print({'ray', 'pyspark', 'pyarrow', 'gradio', 'typer'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
