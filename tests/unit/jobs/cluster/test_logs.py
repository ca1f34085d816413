"""What the log of a job tells of its failures, in the words that its processes write."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from finkray.errors import ClusterUnavailable
from jobs.cluster.logs import failing_jobs, failures_in
from jobs.commands.launch import FAILED_STARTS, refuse_restarts

DAEMON = """
import sys
from finkray.errors import SettingsError, StorageError
from finkray.host import supervise
from finkray.host.daemon import daemon_parser, run_daemon

supervise.LONGEST_PAUSE_S = 0.1

def work(options):
    tries = len(open("tries").read())
    open("tries", "a").write(".")
    if tries == 3:
        raise SettingsError("a setting is wrong")
    try:
        raise OSError("the cause")
    except OSError as error:
        raise StorageError(f"/a/ledger: Not a directory, try {tries}") from error

sys.exit(run_daemon("daemon", daemon_parser("daemon", "It fails."), work, name="it", restarts=True))
"""


def test_why_a_daemon_is_restarted_is_read_in_its_log(tmp_path: Path) -> None:
    (tmp_path / "daemon.py").write_text(DAEMON)
    (tmp_path / "tries").touch()
    done = subprocess.run(
        [sys.executable, "-m", "daemon"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    reasons = [f"/a/ledger: Not a directory, try {number}" for number in range(3)]
    assert failures_in(done.stderr) == reasons
    log = tmp_path / "log"
    log.write_text(done.stderr)
    with pytest.raises(ClusterUnavailable, match=r"try 2\. It starts when .*finkray stop it"):
        refuse_restarts("it", log)
    (line,) = failing_jobs({"it": log, "new": tmp_path / "none"})
    assert line.startswith("it fails and is started again and again: /a/ledger: Not a directory")
    kept = done.stderr.split("restarting in")
    log.write_text("restarting in".join(kept[:FAILED_STARTS]))
    refuse_restarts("it", log)
    refuse_restarts("it", tmp_path / "none")


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        for number in range(2000):
            file.write(f"finkray.errors.StorageError: failure {number}\n")
            file.write(
                "WARNING finkray.host.supervise: it process exited with 75; restarting in 1 s\n"
            )
    (line,) = failing_jobs({"it": log})
    assert "failure 1999 " in line


def test_a_kill_has_no_words(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("finkray.host.supervise").warning(
        "%s process exited with %d; restarting in %.1f s", "archive", -9, 0.5
    )
    (line,) = (record.getMessage() for record in caplog.records)
    assert failures_in(f"2026-11-30 03:45:34,732 WARNING finkray.host.supervise: {line}\n") == [
        "it exited with -9"
    ]
