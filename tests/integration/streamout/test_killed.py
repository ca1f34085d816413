"""Each alert is sent once, whatever happens to the processes that send."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from finkray.streamout.balance import balances
from finkray.streamout.engine import Streamout
from finkray.streamout.published import FilterStore
from finkray.streamout.sender import read_out_ledger
from tests.support.archiving import wait_until
from tests.support.services import Double
from tests.support.serving import serve
from tests.support.streaming_out import BRIGHT, EVEN, OutStream, run_to_end, source_of

pytestmark = [pytest.mark.kafka]

KILLS = int(os.environ.get("FINKRAY_STREAMOUT_KILLS", "4"))
ZOMBIES = int(os.environ.get("FINKRAY_STREAMOUT_ZOMBIES", "2"))

MOST_SLEEPING = 2
"""Processes that sleep at a time: each keeps its memory."""


def wake(sleeping: list[subprocess.Popen[bytes]]) -> None:
    """Let processes go on whose successor has begun: each must end by itself."""
    for zombie in sleeping:
        os.kill(zombie.pid, signal.SIGCONT)
    for zombie in sleeping:
        assert zombie.wait(120) != 0, "a newer process has its name"
    sleeping.clear()


@pytest.mark.timeout(300 + 60 * (KILLS + ZOMBIES))
def test_killed_at_random_it_sends_each_alert_once(out: OutStream, packets: list[bytes]) -> None:
    """Some processes are stopped instead: they sleep, and wake after a successor began.

    A service answers before, during and after, so that amendments and late judging are killed too.
    """
    serve(out.archive, service=Double(), into="double")
    out.publish("bright", 'SENDS = ["double"]\n' + BRIGHT)
    out.publish("even", EVEN)
    out.publish("full", 'sql = "magpsf < 19"', "full", suffix="toml")
    command = [sys.executable, "-m", "jobs.daemons.streamout", "-c", str(out.settings_file())]
    environment = {**os.environ, "FINKRAY_STATE": str(out.folder)}
    rng = random.Random(7)
    sleeping: list[subprocess.Popen[bytes]] = []
    log = (out.folder / "log").open("wb")
    process = None
    try:
        for kill in range(KILLS + ZOMBIES):
            sleeps = kill % ((KILLS + ZOMBIES) // ZOMBIES) == 1
            process = subprocess.Popen(
                [*command, "--unsupervised"], env=environment, stdout=log, stderr=log
            )
            out.archive.put("ztf", packets)
            looked = out.folder / "streamout.json"
            looked.unlink(missing_ok=True)
            if sleeps or kill % 3 == 0:  # it has begun: a sleeper must not be the newest
                wait_until("a first look", looked.exists)
                if len(sleeping) >= MOST_SLEEPING:
                    wake(sleeping)
                time.sleep(rng.uniform(0.0, 0.5))
            else:
                time.sleep(rng.uniform(0.5, 3.0))
            if rng.random() < 0.7:
                serve(out.archive, service=Double(), into="double")
                time.sleep(rng.uniform(0.0, 1.0))
            if sleeps:
                os.kill(process.pid, signal.SIGSTOP)
                sleeping.append(process)
            else:
                process.kill()
                process.wait()
        engine = Streamout(out.archive.storage, out.config, out.settings)
        try:
            run_to_end(engine)
            out.archive.put("ztf", packets)
            wake(sleeping)
            serve(out.archive, service=Double(), into="double")
            run_to_end(engine)
        finally:
            engine.close()
    finally:
        log.close()
        for each in [*sleeping, *([process] if process else [])]:
            each.kill()
            each.wait()
    done = read_out_ledger(out.config, out.settings.instance)
    assert len(done.late) == 0
    filters = FilterStore(out.archive.storage).all()
    assert {each.problem for each in balances(out.archive.storage, filters, done)} == {""}
    amended = out.sources(out.topic("bright"), "amendment")
    without = Counter(
        source_of(alert)
        for alert in out.alerts(out.topic("bright"))
        if alert["finkray"]["services"]["double"] is None
    )
    assert amended == without
    bright, even = done.progress["bright"], done.progress["even"]
    assert bright.incomplete == bright.amendments == len(amended) > 0
    assert even.judged_late > 0
    assert not even.not_judged
    for name in ("bright", "even", "full"):
        sources = out.sources(out.topic(name))
        progress = done.progress[name]
        assert set(sources.values()) == {1}
        assert progress.alerts == (KILLS + ZOMBIES + 1) * len(packets)
        assert progress.sent == len(sources) > 0
        assert progress.difference == 0
