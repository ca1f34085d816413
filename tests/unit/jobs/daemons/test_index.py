"""`python -m jobs.daemons.index`: the process that keeps the object index up to date."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from finkray.index.manifest import RUNS_FOLDER, read_manifest
from finkray.storage.local import LocalStorage
from jobs.daemons.last_look import last_look
from tests.support.archiving import wait_until
from tests.support.night_archives import NightArchive, random_sky


def test_the_process_indexes_the_archive_and_ends_when_it_is_told(tmp_path: Path) -> None:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    made.put(random_sky(20))
    left = tmp_path / "archive" / RUNS_FOLDER / f"{0:020d}-of-a-killed-one"
    left.mkdir(parents=True)
    (left / "objects.arrow").write_bytes(b"half")
    environment = {
        **os.environ,
        "FINKRAY_STATE": str(tmp_path),
        "FINKRAY__ARCHIVE__URI": made.storage.uri,
    }
    command = [sys.executable, "-m", "jobs.daemons.index"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until("the alerts are indexed", lambda: read_manifest(made.storage).alerts == 20)
            wait_until("it has looked", lambda: last_look(tmp_path, "index") is not None)
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert not left.exists()
