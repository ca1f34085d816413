"""A process is restarted after a failure that may pass, and not when it is done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from finkray.host.exit_codes import DaemonExit
from finkray.host.supervise import RESTARTS_VARIABLE, Backoff, names_of, should_restart

SUPERVISE = (
    "import sys; from finkray.host.supervise import supervise; "
    "sys.exit(supervise(sys.argv[1:], 'worker'))"
)


def start(body: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, sys.executable, "-c", body, *arguments],
        stderr=subprocess.DEVNULL,
    )


def wait_for(path: Path, lines: int = 1) -> list[str]:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if path.exists() and len(found := path.read_text().splitlines()) >= lines:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{path} has not {lines} lines")


@pytest.mark.parametrize(
    ("return_code", "again"),
    [
        (0, False),
        (1, False),
        (2, False),
        (3, False),
        (DaemonExit.RESTART, True),
        (-9, True),
        (-6, True),
    ],
)
def test_the_exit_codes_that_lead_to_a_restart(return_code: int, again: bool) -> None:
    assert should_restart(return_code) is again


def test_a_process_that_ends_while_its_supervisor_names_it_is_left_out() -> None:
    """The supervisor would end with an error, and restart nothing."""
    with subprocess.Popen(["sleep", "0"]) as ended:
        known = psutil.Process(ended.pid)
    assert names_of([known, psutil.Process()]) == psutil.Process().name()


def test_pauses_grow_with_quick_failures_and_reset_after_a_steady_run() -> None:
    backoff, pauses = Backoff(), []
    for _ in range(8):
        pauses.append(backoff.pause_s)
        backoff = backoff.after(1.0)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.after(600.0).pause_s == 0.5


def test_a_killed_process_is_restarted_until_it_succeeds(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    body = (
        "import os, sys; p = sys.argv[1];"
        f"open(p, 'a').write(os.environ['{RESTARTS_VARIABLE}'] + '\\n');"
        "n = len(open(p).readlines());"
        f"os.kill(os.getpid(), 9) if n == 1 else sys.exit({DaemonExit.RESTART} if n == 2 else 0)"
    )
    assert start(body, str(starts)).wait(30) == 0
    # Each is told how many restarts there were, for the alarm RESTARTS.
    assert starts.read_text().splitlines() == ["0", "1", "2"]


def test_a_restart_names_the_process_its_exit_code_and_the_pause() -> None:
    log = (
        "import logging, sys; from finkray.host.supervise import supervise\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "sys.exit(supervise(sys.argv[1:], 'archive'))"
    )
    once = f"import os, sys; sys.exit(75 if os.environ['{RESTARTS_VARIABLE}'] == '0' else 0)"
    ended = subprocess.run(
        [sys.executable, "-c", log, sys.executable, "-c", once],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "archive process exited with 75; restarting in 0.5 s" in ended.stderr


def test_a_lasting_failure_ends_the_supervisor_with_its_exit_code() -> None:
    assert start("import sys; sys.exit(3)").wait(30) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_forwarded_and_the_process_may_end_slowly(
    tmp_path: Path, number: signal.Signals
) -> None:
    note = tmp_path / "note"
    body = (
        "import signal, sys, time; p = sys.argv[1]\n"
        "def drain(*_):\n"
        "    time.sleep(0.3); open(p, 'a').write('drained\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, drain); signal.signal(signal.SIGINT, drain)\n"
        # The exception of a handler that runs while a file without `with` is closed is lost.
        "with open(p, 'a') as file: file.write('ready\\n')\n"
        "time.sleep(60)"
    )
    process = start(body, str(note))
    wait_for(note)
    process.send_signal(number)
    assert process.wait(30) == 0
    assert note.read_text().splitlines() == ["ready", "drained"]


def test_the_process_does_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    body = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
    process = start(body, str(note))
    pid = int(wait_for(note)[0])
    process.kill()
    process.wait(30)
    deadline_s = time.monotonic() + 20
    while _alive(pid):
        assert time.monotonic() < deadline_s, "the process lives on without its supervisor"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_leftover_processes_are_killed_before_the_restart(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    body = (
        "import os, subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "first = not os.path.exists(sys.argv[1])\n"
        "open(sys.argv[1], 'a').write(f'{left.pid}\\n')\n"
        "os._exit(75 if first else 0)\n"
    )
    process = start(body, str(note))
    _, second = wait_for(note, 2)
    first = note.read_text().splitlines()[0]
    assert not _alive(int(first))
    assert process.wait(30) == 0
    assert not _alive(int(second))


def test_a_signal_during_the_start_of_the_process_is_not_lost() -> None:
    supervise_and_stop = (
        "import os, signal, subprocess, sys\n"
        "from finkray.host.supervise import supervise\n"
        "start = subprocess.Popen\n"
        "def stopped_while_it_starts(*words, **options):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return start(*words, **options)\n"
        "subprocess.Popen = stopped_while_it_starts\n"
        "sys.exit(supervise(sys.argv[1:], 'worker'))\n"
    )
    endless = [sys.executable, "-c", "import time; time.sleep(3600)"]
    process = subprocess.Popen([sys.executable, "-c", supervise_and_stop, *endless])
    try:
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
