"""A process is distinguished from a later one with its id, and reliably ended."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from finkray.host.process import ProcessRecord, ended_on_error, start_detached

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(300)
"""


def _start(
    tmp_path: Path, program: str, *, die_with_parent: bool = True
) -> subprocess.Popen[bytes]:
    return start_detached(
        [sys.executable, "-c", program, str(tmp_path)],
        log=tmp_path / "log",
        environment={},
        die_with_parent=die_with_parent,
    )


def test_a_process_is_recognised_while_it_executes_another_program(tmp_path: Path) -> None:
    # For a moment of each exec the kernel shows no command line. Here are a thousand.
    script = tmp_path / "chain"
    script.write_text(
        '#!/bin/sh\n[ "$1" -gt 0 ] && exec "$0" $(($1 - 1))\nwhile :; do sleep 0.1; done\n'
    )
    script.chmod(0o755)
    child = start_detached(
        [str(script), "1000"], log=tmp_path / "log", environment={}, die_with_parent=False
    )
    record = ProcessRecord.of(child.pid, mark=str(script))
    while psutil.Process(child.pid).cmdline()[-1:] != ["0"]:
        assert record.process() is not None
    record.end(grace_s=0)
    child.wait()
    assert record.process() is None


def test_another_process_with_the_same_id_is_not_recognised(tmp_path: Path) -> None:
    child = _start(tmp_path, "import time; time.sleep(300)", die_with_parent=False)
    record = ProcessRecord.of(child.pid, mark=str(tmp_path))
    earlier = replace(record, identity=replace(record.identity, started="1"))
    of_earlier_boot = replace(record, identity=replace(record.identity, boot_id="earlier"))
    elsewhere = replace(record, mark=str(tmp_path / "elsewhere"))
    while not psutil.Process(child.pid).cmdline():
        time.sleep(0.01)  # while it executes its program it has none, and could be any
    try:
        for other in (earlier, of_earlier_boot, elsewhere):
            assert other.process() is None
            other.end(grace_s=0)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("set_s", [3600.0, -3600.0, 3.0])
def test_a_process_is_recognised_after_the_clock_was_set(
    tmp_path: Path, set_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = _start(tmp_path, "import time; time.sleep(300)", die_with_parent=False)
    try:
        record = ProcessRecord.from_json(
            json.loads(json.dumps(ProcessRecord.of(child.pid, mark=str(tmp_path)).to_json()))
        )
        before_s = psutil.Process(child.pid).create_time()
        _set_clock(set_s, tmp_path / "proc", monkeypatch)
        assert psutil.Process(child.pid).create_time() == pytest.approx(before_s + set_s)
        assert record.process() is not None
        assert record.may_have_session()
    finally:
        child.kill()
        child.wait()
    assert record.process() is None
    assert record.may_have_session()  # processes may be left in it


def _set_clock(set_s: float, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let psutil see what the kernel shows after the wall clock was set: a later boot time."""
    folder.mkdir()
    for real in Path("/proc").iterdir():
        if real.name != "stat":
            (folder / real.name).symlink_to(real)
    lines = Path("/proc/stat").read_text().splitlines()
    moved = [
        f"btime {int(line.split()[1]) + int(set_s)}" if line.startswith("btime") else line
        for line in lines
    ]
    (folder / "stat").write_text("\n".join(moved) + "\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(folder))


def test_a_record_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    child = _start(tmp_path, "import time; time.sleep(300)", die_with_parent=False)
    try:
        started_s = psutil.Process(child.pid).create_time()
        raw = {"pid": child.pid, "started_at_unix_s": started_s, "mark": str(tmp_path)}
        assert ProcessRecord.from_json(raw).process() is not None
        of_another = ProcessRecord.from_json(raw | {"started_at_unix_s": started_s - 60})
        assert of_another.process() is None
        assert not of_another.may_have_session()
    finally:
        child.kill()
        child.wait()
    assert ProcessRecord.from_json(raw).process() is None


@pytest.mark.parametrize("die_with_parent", [True, False])
def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, *, die_with_parent: bool) -> None:
    child = _start(tmp_path, STUBBORN, die_with_parent=die_with_parent)
    while (tmp_path / "log").read_text() != "up\n":
        time.sleep(0.05)
    record = ProcessRecord.of(child.pid, mark=str(tmp_path))
    watchers = psutil.Process(child.pid).children()
    assert len(watchers) == (1 if die_with_parent else 0)

    record.end(grace_s=0.5)
    child.wait()
    assert record.process() is None
    _, alive = psutil.wait_procs(watchers, timeout=10)
    assert not alive


def test_a_process_that_could_not_be_recorded_is_ended(tmp_path: Path) -> None:
    child = _start(tmp_path, "import time; time.sleep(300)", die_with_parent=False)
    with pytest.raises(OSError, match="full"), ended_on_error(child):
        raise OSError("full")
    assert child.returncode == -signal.SIGKILL
