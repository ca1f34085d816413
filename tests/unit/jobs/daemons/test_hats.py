"""`python -m jobs.daemons.hats`: the process that builds nights."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

from catalogs.nights.listing import built_nights
from finkray.storage.local import LocalStorage
from jobs.daemons.last_look import last_look
from tests.support.archiving import wait_until
from tests.support.night_archives import Made, NightArchive, random_sky

OVER = "2020-01-02"


def test_the_process_builds_a_night_that_is_over_and_ends_when_it_is_told(tmp_path: Path) -> None:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    night = date.fromisoformat(OVER)
    made.put([Made(one.object_id, one.candidate, one.history, night) for one in random_sky(20)])
    environment = {
        **os.environ,
        "FINKRAY_STATE": str(tmp_path),
        "FINKRAY__ARCHIVE__URI": made.storage.uri,
    }
    command = [sys.executable, "-m", "jobs.daemons.hats"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until("the night is built", lambda: any(built_nights(made.storage)))
            assert last_look(tmp_path, "hats") is not None
        finally:
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "night 2020-01-02 of ztf: generation 1 with 20 alerts of 10 objects" in log
