"""A service that a user wrote, live on a real Ray: grown, killed, paused, drained."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

import finkray
import finkray.testing
from finkray.host.processes import command_of
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay, find_local_ray, stop_local_ray
from tests.support import docs_pages
from tests.support.archiving import wait_until
from tests.support.small_archives import NIGHT, SmallArchive, archive_sample_alerts
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

KILLS = 8
"""How often an actor of the service, or its process, is killed."""

MODULE = '''
import os, time
import finkray
import pyarrow as pa


class Slow(finkray.Service):
    """Takes 5 ms for each alert, and raises on one in a hundred."""

    columns = ["kafka_offset"]
    output = pa.schema([("double", pa.int64()), ("secrets", pa.string())])
    version = "1"

    def process(self, alerts):
        for offset in alerts["kafka_offset"].to_pylist():
            if offset % 100 == 50:
                raise ValueError(f"cannot stand {offset}")
        time.sleep(0.005 * len(alerts))
        with open("/proc/self/environ", "rb") as file:
            found = str(file.read()) + str(dict(os.environ))
        return pa.table({
            "double": pa.array([2 * n for n in alerts["kafka_offset"].to_pylist()]),
            "secrets": ["hunter2" if "hunter2" in found else "" for _ in range(len(alerts))],
        })
'''


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "mymodule.py").write_text(MODULE)
    settings = {
        "FINKRAY__SERVICES__MAX_ACTORS": "3",
        "FINKRAY__SERVICES__TARGET_S": "2",
        "FINKRAY__SERVICES__QUIET_S": "3",
        "FINKRAY__SERVICES__BATCH_ROWS": "100",
        "FINKRAY__RAY__LOCAL_CPUS": "4",
    }
    workspace = make_workspace(tmp_path).with_env(**settings)
    yield workspace
    stop_local_ray(workspace.state)


def status(workspace: Workspace) -> dict[str, Any]:
    answer = workspace.command("status", "--json")
    assert answer.returncode == 0, answer.stderr
    own: list[dict[str, Any]] = json.loads(answer.stdout)["own_services"]
    return own[0] if own else {}


def victims(ray: LocalRay) -> list[psutil.Process]:
    """The actors of the service, and the processes that they keep."""
    father = ray.process.process()
    found = []
    for process in father.children(recursive=True) if father else []:
        words = " ".join(command_of(process))
        if "ray::ServiceActor" in words or "finkray.serving.child" in words:
            found.append(process)
    return found


@pytest.mark.nightly(
    "tests/integration/test_outliers_live.py::"
    "test_a_killed_service_takes_another_model_and_scores_each_alert_once",
    "tests/integration/test_run_on_ray.py::"
    "test_a_run_on_ray_is_ended_goes_on_and_has_the_results_of_a_local_one",
)
def test_a_burst_grows_it_killing_it_loses_nothing_quiet_shrinks_it_and_stop_drains_it(
    workspace: Workspace,
) -> None:
    small = SmallArchive(LocalStorage(workspace.folder / "archive"))
    small.put(0, 99)
    started = workspace.command("start", "mymodule:Slow", "--from", "2026-11-24")
    assert started.returncode == 0, started.stderr
    assert "slow: running" in started.stdout
    store = LocalStorage(small.storage.root / "science" / "slow" / "1")

    def served() -> int:
        return read_state(store).state.balance().archived

    wait_until("what came before is served", lambda: served() == 100)

    ray = find_local_ray(workspace.state)
    assert ray is not None
    last = 100
    rng = random.Random(6)
    kills = 0
    grown = False

    def add_backlog(claims: int) -> int:
        for number in range(last // 100, last // 100 + claims):
            begins = NIGHT + timedelta(minutes=number % 60)
            small.put(100 * number, 100 * number + 99, begins=begins)
        return last + 100 * claims

    last = add_backlog(60)
    while (before := served()) < last or kills < KILLS or not grown:
        if last - before < 2000 and (kills < KILLS or not grown):
            # Where this test gets little of the machine, much is served between two kills.
            last = add_backlog(20)
        if kills < KILLS and (found := victims(ray)):
            rng.choice(found).kill()
            kills += 1
        wait_until("it goes on", lambda before=before: served() > before)
        grown = grown or (kills >= KILLS // 2 and status(workspace)["actors_wanted"] > 1)

    sheet = read_state(store).state.balance()
    assert (sheet.archived, sheet.difference) == (last, 0)
    table = pq.read_table(store.root / "results").sort_by("kafka_offset")
    assert table["kafka_offset"].to_pylist() == list(range(last))
    assert table["status"].to_pylist() == ["error" if n % 100 == 50 else "ok" for n in range(last)]
    assert set(table["secrets"].to_pylist()) == {"", None}

    wait_until("quiet shrinks it", lambda: status(workspace)["actors_wanted"] == 1)
    text = workspace.command("status").stdout
    assert "slow" in text
    assert "waiting" in text
    stopped = workspace.command("stop", "slow")
    assert stopped.returncode == 0, stopped.stderr
    assert find_local_ray(workspace.state) is None
    assert served() == last


def test_a_service_that_cannot_be_loaded_is_refused_before_anything_starts(
    workspace: Workspace,
) -> None:
    SmallArchive(LocalStorage(workspace.folder / "archive")).put(0, 9)
    refused = workspace.command("start", "mymodule:Missing")
    assert refused.returncode == 1
    assert "mymodule has no Missing; its services are Slow" in refused.stderr
    assert find_local_ray(workspace.state) is None


def test_the_page_on_services_is_true_word_by_word(workspace: Workspace) -> None:
    storage = LocalStorage(workspace.folder / "archive")
    alerts = archive_sample_alerts(storage)

    for name, text in docs_pages.files().items():
        (workspace.folder / name).write_text(text)
    binaries = f"{Path(sys.executable).parent}:{workspace.env['PATH']}"
    commands = docs_pages.commands(live=True)
    assert len(commands) == 10
    for command in commands:
        docs_pages.follow(command, workspace.folder, {**workspace.env, "PATH": binaries})
    for command in ("pytest -q test_mymodule.py", "read_results.py"):
        words = ["-m", *command.split()] if command.startswith("pytest") else [command]
        done = subprocess.run(
            [sys.executable, *words],
            cwd=workspace.folder,
            env={**workspace.env, "PYTHONPATH": str(workspace.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    archive = finkray.open_archive(storage.root)
    results = archive.results("bright").to_table()
    assert results.num_rows == archive.newest("bright").num_rows == alerts
    assert set(results["bright"].to_pylist()) == {True, False}
