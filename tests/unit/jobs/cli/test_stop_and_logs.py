"""`finkray stop` and `finkray logs`, without a Ray."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from finkray.host.processes import command_of
from jobs.cluster.orphans import HOME_VARIABLE
from jobs.cluster.started_jobs import StartedJob, record_start, started_jobs
from tests.support.archiving import wait_until
from tests.support.commands import Finkray
from tests.support.full_disk import fill_disk

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


def test_a_name_that_no_job_has_is_an_error_and_nothing_is_stopped(
    finkray: Finkray, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    record_start(state, StartedJob(name="bright", job_id="bright-1", started_at=AT))
    answer = finkray("stop", "bright", "archiv")
    assert answer.returncode == 2
    assert answer.stderr == (
        "finkray: no job is named 'archiv', and no results are: did you mean archive?\n"
    )
    assert "bright" in started_jobs(state)


def test_jobs_of_a_ray_that_is_gone_are_forgotten(finkray: Finkray, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    for name in ("archive", "bright"):
        record_start(state, StartedJob(name=name, job_id=f"{name}-1", started_at=AT))
    answer = finkray("stop", "--all")
    assert answer.stdout == "archive does not run\nbright does not run\n"
    assert (answer.returncode, started_jobs(state)) == (0, {})
    assert finkray("stop", "--all").stdout == "no job runs\n"


@pytest.mark.parametrize("name", ["jobs.json", "ray.json", "watcher.json"])
def test_a_damaged_file_of_the_state_folder_is_named_with_what_to_do(
    finkray: Finkray, tmp_path: Path, name: str
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    for text in ("", "null", '[{"name": 1}]'):
        (state / name).write_text(text)
        for words in (("status",), ("stop", "--all")):
            answer = finkray(*words)
            assert answer.returncode == 1
            assert answer.stderr.startswith(f"finkray: {state / name} is damaged: ")


@contextmanager
def jobs_of_a_killed_ray(
    tmp_path: Path, names: Sequence[str]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Jobs that run on though their Ray was killed; its home is the folder finkray-x."""
    state, home = tmp_path / "state", tmp_path / "finkray-x"
    (state / "settings").mkdir(parents=True)
    state.chmod(0o700)
    home.mkdir(mode=0o700)
    process = {"pid": 2**22 + 1, "started_at_unix_s": 1.0, "mark": str(home)}  # no such process
    places = {"address": "127.0.0.1:1", "dashboard_url": "http://127.0.0.1:2"}
    record = {"process": process, **places, "home": str(home), "folder": str(home / "ray")}
    (state / "ray.json").write_text(json.dumps(record))
    # As Ray leaves them: in a session of their own, with the settings on the command line.
    run_on = {}
    for name in names:
        record_start(state, StartedJob(name=name, job_id=f"{name}-1", started_at=AT))
        settings = state / "settings" / f"{name}-1.json"
        settings.write_text("{}")
        run_on[name] = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)", "--config", str(settings)],
            env={**os.environ, HOME_VARIABLE: str(home)},
            start_new_session=True,
        )
        # For some instructions after it began to run a program, a process has no command line.
        _wait_for_words(run_on[name].pid, str(settings))
    try:
        yield run_on
    finally:
        for each in run_on.values():
            each.kill()
            each.wait()


def test_what_runs_on_of_a_job_whose_ray_was_killed_ends_with_it(
    finkray: Finkray, tmp_path: Path
) -> None:
    with jobs_of_a_killed_ray(tmp_path, ("simulator", "archive")) as run_on:
        answer = finkray("stop", "simulator")
        assert answer.stdout == ("simulator has ended: its Ray was killed before, yet it ran on\n")
        run_on["simulator"].wait(60)
        assert run_on["archive"].poll() is None
        assert list(started_jobs(tmp_path / "state")) == ["archive"]
        assert finkray("stop", "--all").stdout == (
            "archive has ended: its Ray was killed before, yet it ran on\n"
        )
        run_on["archive"].wait(60)
        assert not (tmp_path / "finkray-x").exists()


def test_it_ends_also_when_the_disk_refuses_to_record_that(
    finkray: Finkray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    with jobs_of_a_killed_ray(tmp_path, ("simulator", "archive")) as run_on:
        fill_disk(state, monkeypatch)
        answer = finkray("stop", "archive")
        run_on["archive"].wait(60)
        assert answer.returncode == 3
        assert answer.stderr.startswith(f"finkray: {state / 'jobs.json'} cannot be written: ")
        assert list(started_jobs(state)) == ["simulator", "archive"]


def _wait_for_words(pid: int, word: str) -> None:
    process = psutil.Process(pid)
    wait_until("the command line to be there", lambda: word in command_of(process))


def test_what_to_stop_is_said_by_names_or_by_all(finkray: Finkray) -> None:
    for words in ((), ("archive", "--all")):
        answer = finkray("stop", *words)
        assert (answer.returncode, "names of jobs, or --all" in answer.stderr) == (2, True)


def test_the_log_of_the_last_job_of_a_name_is_shown(finkray: Finkray, tmp_path: Path) -> None:
    logs = tmp_path / "state" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    for job, text in (
        ("finkray-archive-20261124-030000-0a1b", "an older one\n"),
        ("finkray-archive-20261125-030000-0a1b", "one\ntwo \x1b[2J\nthree\n"),
        ("finkray-archive-of-me-20261126-030000-0a1b", "of another name\n"),
    ):
        (logs / f"job-driver-{job}.log").write_text(text)
    assert finkray("logs", "archive", "-n", "2").stdout == "two \\x1b[2J\nthree\n"
    assert finkray("logs", "archive", "-n", "0").stdout.startswith("one\n")
    answer = finkray("logs", "ui")
    assert answer.returncode == 1
    assert answer.stderr == (
        "finkray: there is no log of ui: there are logs of archive, archive-of-me\n"
    )


def test_a_log_that_is_followed_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "logs").mkdir(parents=True)
    state.chmod(0o700)
    log = state / "logs" / "job-driver-finkray-archive-20261125-030000-0a1b.log"
    log.write_text("one\n")
    following = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli.main", "logs", "archive", "-f"],
        cwd=tmp_path,
        env={**os.environ, "FINKRAY_STATE": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    try:
        assert following.stdout.readline() == "one\n"
        with log.open("a") as more:
            more.write("two\n")
        assert following.stdout.readline() == "two\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 0
    finally:
        following.kill()
        following.communicate()


def test_a_log_that_is_followed_ends_with_its_reader(tmp_path: Path) -> None:
    logs = tmp_path / "state" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "state").chmod(0o700)
    (logs / "job-driver-finkray-ui-20261124-030000-0000.log").write_text("first\n")
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m jobs.cli.main logs ui -f | head -n 1"],
        env={**os.environ, "FINKRAY_STATE": str(tmp_path / "state")},
        capture_output=True,
        check=False,
        timeout=400,
    )
    assert (done.stdout, done.stderr) == (b"first\n", b"")
