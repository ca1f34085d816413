"""`finkray run` over the past: on the Ray that is there, with the results of this machine alone."""

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from finkray.host.processes import command_of
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from tests.support.archiving import wait_until
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ALERTS = 600
MODULE = '''
import os, time
from pathlib import Path
import finkray
import pyarrow as pa
import pyarrow.compute as pc

PLACE = Path(__file__).parent


class Careful(finkray.Service):
    """Twice the offset, but of one in fifty; slowly while there is a file."""

    columns = ["kafka_offset"]
    output = pa.schema([("double", pa.int64()), ("seen", pa.bool_())])
    version = "1"

    def process(self, alerts):
        if (PLACE / "slowly").exists() and len(alerts) == 20:
            time.sleep(0.5)
        for offset in alerts["kafka_offset"].to_pylist():
            if offset % 50 == 7:
                raise ValueError(f"cannot stand {offset}")
        with open("/proc/self/environ", "rb") as file:
            seen = "hunter2" in f"{file.read()} {dict(os.environ)}"
        double = pc.multiply(alerts["kafka_offset"], 2)
        return pa.table({"double": double, "seen": [seen] * len(alerts)})
'''


@pytest.fixture
def workspace(tmp_path: Path, ray_cluster: LocalRay) -> Workspace:
    (tmp_path / "mymodule.py").write_text(MODULE)
    small = SmallArchive(LocalStorage(tmp_path / "archive"))
    for number, first in enumerate(range(0, ALERTS, 100)):
        small.put(first, first + 99, begins=NIGHT + timedelta(hours=number))
    settings = {
        "FINKRAY__SERVICES__BATCH_ROWS": "20",
        "FINKRAY__SERVICES__MAX_ACTORS": "2",
        "FINKRAY__SERVICES__TARGET_S": "0.2",
    }
    return make_workspace(tmp_path).with_env(**ray_cluster.environment(), **settings)


def actors(ray: LocalRay) -> list[psutil.Process]:
    father = ray.process.process()
    family = father.children(recursive=True) if father else []
    return [one for one in family if "ray::ServiceActor" in " ".join(command_of(one))]


def served(workspace: Workspace, name: str) -> int:
    store = LocalStorage(workspace.folder / "archive" / "science" / name / "1")
    return read_state(store).state.balance().archived


def test_a_run_on_ray_is_ended_goes_on_and_has_the_results_of_a_local_one(
    workspace: Workspace, ray_cluster: LocalRay
) -> None:
    (workspace.folder / "slowly").touch()
    words = [sys.executable, "-m", "jobs.cli.main", "run", "mymodule:Careful", "--into", "there"]
    process = subprocess.Popen(
        words, cwd=workspace.folder, env=workspace.env, stderr=subprocess.PIPE, text=True
    )
    wait_until("some are done", lambda: 0 < served(workspace, "there") < ALERTS)
    ray = ray_cluster.process.process()
    assert ray
    # Not Ray's own 15, with which any other program would go before them.
    assert {actor.nice() - ray.nice() for actor in actors(ray_cluster)} == {5}
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 130, told
    assert f"1 to 2 actors of Ray at {ray_cluster.address}" in told
    assert 0 < served(workspace, "there") < ALERTS
    wait_until("its actors are gone", lambda: not actors(ray_cluster))

    again = workspace.command("run", "mymodule:Careful", "--into", "there", "--json")
    assert again.returncode == 0, again.stderr
    there = json.loads(again.stdout)
    assert (there["on"], there["results"], there["complete"]) == ("ray", ALERTS, True)
    assert there["actors_wanted"] == 2, "what waits makes them more than one"
    wait_until("its actors are gone", lambda: not actors(ray_cluster))

    (workspace.folder / "slowly").unlink()
    words = ["run", "mymodule:Careful", "--into", "here", "--on", "local", "--workers", "1"]
    local = workspace.command(*words, "--json")
    assert local.returncode == 0, local.stderr
    here = json.loads(local.stdout)
    assert (here["on"], here["results"]) == ("local", ALERTS)
    both = workspace.command("diff", "here", "there")
    assert both.returncode == 0, both.stdout
    tables = [
        pq.read_table(workspace.folder / "archive" / "science" / name / "1" / "results")
        .sort_by("kafka_offset")
        .drop_columns(["computed_at"])
        for name in ("here", "there")
    ]
    assert tables[0].equals(tables[1])
    assert tables[0]["kafka_offset"].to_pylist() == list(range(ALERTS))
    assert workspace.env["FINKRAY__KAFKA__SASL_PASSWORD"] == "hunter2"
    assert set(tables[0]["seen"].to_pylist()) == {False, None}


def test_where_no_ray_runs_it_says_so_when_it_is_asked_for(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    SmallArchive(LocalStorage(tmp_path / "archive")).put(0, 9)
    (tmp_path / "mymodule.py").write_text(MODULE)
    refused = workspace.command("run", "mymodule:Careful", "--on", "ray")
    assert refused.returncode != 0
    assert (
        "no Ray cluster has its head on this machine: start one with `finkray start`"
        in refused.stderr
    )
