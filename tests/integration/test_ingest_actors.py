"""The driver hears of everything that happens to its ingest actors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cluster.local_ray import LocalRay

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

LISTEN = """
import queue, sys
import ray
from finkray.driver.ingest_actors import ActorEvent, IngestActors, ListenerFailed
from finkray.host.ray_connection import connect_to_ray
from finkray.settings.model import load

settings = load(None, {}, {"archive": {"uri": sys.argv[1]}})
connect_to_ray(sys.argv[2], "listening", quiet=True)
failures = queue.SimpleQueue()

def on_event(event: ActorEvent) -> None:
    if not isinstance(event, ListenerFailed):
        raise TypeError("a report that nobody expects")
    failures.put(event)

actors = IngestActors(settings, 0, "", {}, on_event)
print(failures.get(timeout=300))
actors.close()
ray.shutdown()
"""


def test_the_driver_hears_of_a_thread_that_receives_reports_no_more(
    tmp_path: Path, ray_cluster: LocalRay
) -> None:
    """Without that the archive would go on and never learn of a claim again."""
    listened = subprocess.run(
        [sys.executable, "-c", LISTEN, str(tmp_path), ray_cluster.address],
        env={**os.environ, **ray_cluster.environment()},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert listened.returncode == 0, listened.stderr
    assert "ListenerFailed(actor=0, error=TypeError('a report that nobody" in listened.stdout
