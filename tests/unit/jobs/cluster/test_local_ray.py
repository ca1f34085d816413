import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from finkray.errors import SettingsError, StorageError
from finkray.settings.ray import RaySettings
from jobs.cluster.local_ray import (
    ended_local_ray,
    find_local_ray,
    inherited,
    start_local_ray,
    stop_local_ray,
)
from tests.support.archiving import wait_until
from tests.support.full_disk import fill_disk

SLEEP = "import time; time.sleep(60)"


def test_the_cluster_inherits_nothing_of_one_command() -> None:
    env = {
        "PATH": "/bin",
        "FINKRAY__KAFKA__SASL_PASSWORD": "hunter2",
        "RAY_ADDRESS": "h:1",
        "RAY_AUTH_TOKEN": "t",
        "RAY_BACKEND_LOG_LEVEL": "error",
    }
    assert inherited(env) == {"PATH": "/bin", "RAY_BACKEND_LOG_LEVEL": "error"}


def test_what_a_killed_head_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "finkray-x"
    folder = home / "ray"
    logs = folder / "session_2026" / "logs"
    logs.mkdir(parents=True)
    (logs / "job-driver-1.log").write_text("the last words")
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    head = subprocess.Popen([sys.executable, "-c", child, str(folder)], start_new_session=True)
    # Such as a `tail -f` of somebody who looks at a log.
    other = subprocess.Popen([sys.executable, "-c", SLEEP, f"{logs}/job-driver-1.log"])
    started_at_unix_s = psutil.Process(head.pid).create_time()
    process = {"pid": head.pid, "started_at_unix_s": started_at_unix_s, "mark": str(folder)}
    places = {"address": "127.0.0.1:1", "dashboard_url": "http://127.0.0.1:2"}
    record = {"process": process, **places, "home": str(home), "folder": str(folder)}
    (tmp_path / "ray.json").write_text(json.dumps(record))
    worker = wait_until("the head has a child", lambda: psutil.Process(head.pid).children())[0]
    head.kill()
    head.wait()
    try:
        stop_local_ray(tmp_path)
        assert not worker.is_running()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait(10)
    assert not home.exists()
    assert (tmp_path / "logs" / "job-driver-1.log").read_text() == "the last words"
    assert not (tmp_path / "ray.json").exists()
    stop_local_ray(tmp_path)


def test_a_cluster_whose_home_others_may_enter_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "finkray-x"
    home.mkdir(mode=0o700)
    process = {
        "pid": os.getpid(),
        "started_at_unix_s": psutil.Process().create_time(),
        "mark": "python",
    }
    places = {"address": "127.0.0.1:1", "dashboard_url": "http://127.0.0.1:2"}
    record = {"process": process, **places, "home": str(home), "folder": str(home / "ray")}
    (tmp_path / "ray.json").write_text(json.dumps(record))
    assert find_local_ray(tmp_path) is not None
    home.chmod(0o755)
    with pytest.raises(SettingsError, match="chmod 0700"):
        find_local_ray(tmp_path)


def test_the_end_of_a_killed_ray_is_told_by_what_it_left(tmp_path: Path) -> None:
    assert ended_local_ray(tmp_path) is None
    home = tmp_path / "finkray-x"
    logs = home / "ray" / "session_2026" / "logs"
    logs.mkdir(parents=True)
    (logs / "raylet.out").write_text("alive")
    os.utime(logs / "raylet.out", (1_767_225_600, 1_767_225_600))
    process = {"pid": 2**22, "started_at_unix_s": 1_767_225_000, "mark": "ray"}
    places = {"address": "127.0.0.1:1", "dashboard_url": "http://127.0.0.1:2"}
    record = {"process": process, **places, "home": str(home), "folder": str(home / "ray")}
    (tmp_path / "ray.json").write_text(json.dumps(record))
    end = ended_local_ray(tmp_path)
    assert end is not None
    assert end.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert end.reason.endswith("it was killed, or the machine was restarted")
    (logs / "ray_process_exit.log").write_text(
        "2026-01-01 ERROR Some Ray subprocesses exited unexpectedly:\n"
        "  raylet [exit code=-9 (signal 9)]\n"
    )
    end = ended_local_ray(tmp_path)
    assert end is not None
    assert end.reason == "the local Ray ended: its process raylet ended (exit code -9 (signal 9))"


def test_a_ray_whose_raylet_has_ended_has_ended_although_its_head_stays(tmp_path: Path) -> None:
    home = tmp_path / "finkray-x"
    home.mkdir(mode=0o700)
    logs = home / "ray" / "session_2026" / "logs"
    logs.mkdir(parents=True)
    raylet = tmp_path / "raylet"
    shutil.copy(shutil.which("sleep") or "", raylet)
    code = f"import subprocess, time; subprocess.run([{str(raylet)!r}, '60']); time.sleep(60)"
    head = subprocess.Popen([sys.executable, "-c", code, str(home)], start_new_session=True)
    started_at_unix_s = psutil.Process(head.pid).create_time()
    process = {"pid": head.pid, "started_at_unix_s": started_at_unix_s, "mark": str(home)}
    places = {"address": "127.0.0.1:1", "dashboard_url": "http://127.0.0.1:2"}
    record = {"process": process, **places, "home": str(home), "folder": str(home / "ray")}
    (tmp_path / "ray.json").write_text(json.dumps(record))
    try:
        wait_until("it has a raylet", lambda: psutil.Process(head.pid).children())
        assert find_local_ray(tmp_path) is not None
        (logs / "raylet.out").write_text("")
        wait_until("the raylet has its name", lambda: find_local_ray(tmp_path) is not None)
        assert ended_local_ray(tmp_path) is None
        psutil.Process(head.pid).children()[0].kill()
        wait_until("it has ended", lambda: find_local_ray(tmp_path) is None)
        end = ended_local_ray(tmp_path)
        assert end is not None
        assert end.reason == (
            "the local Ray ended: its raylet ended, as after a kill of one of its agents"
        )
        stop_local_ray(tmp_path)
        assert not psutil.pid_exists(head.pid)
        assert not home.exists()
    finally:
        head.kill()
        head.wait()


def test_a_cluster_that_cannot_be_recorded_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes, state = tmp_path / "homes", tmp_path / "state"
    homes.mkdir()
    fill_disk(state, monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(homes))
    monkeypatch.setattr("jobs.cluster.local_ray._LONGEST_TEMP", 1000)
    with pytest.raises(StorageError, match=r"ray\.json cannot be written"):
        start_local_ray(state, RaySettings(local_dashboard_port=0))
    assert list(homes.iterdir()) == []
    assert find_local_ray(state) is None
