"""The service `outliers` on a real Ray: it scores what comes, and takes another model at work."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from tests.support.archiving import wait_until
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive
from tests.support.small_archives import NIGHT
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SPAN = ("--from", "2020-01-01", "--to", "2030-01-01")


@pytest.fixture
def workspace(tmp_path: Path, ray_cluster: LocalRay) -> Iterator[Workspace]:
    workspace = make_workspace(tmp_path).with_env(**ray_cluster.environment())
    yield workspace
    stopped = workspace.command("stop", "outliers")
    assert stopped.returncode == 0, stopped.stderr


def run(workspace: Workspace, *words: str) -> str:
    answer = workspace.command(*words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def train(workspace: Workspace, seed: int) -> str:
    """Train a model, put it in use, and return its version."""
    found = json.loads(run(workspace, "outliers", "train", *SPAN, "--seed", str(seed), "--json"))
    (model,) = [each for each in found if each["survey"] == "ztf"]
    version: str = model["version"]
    return version


def kill_children(ray: LocalRay) -> int:
    """Kill the processes in which services run, and return how many."""
    head = ray.process.process()
    killed = 0
    for process in head.children(recursive=True) if head else []:
        try:
            if "finkray.serving.child" in " ".join(process.cmdline()):
                process.kill()
                killed += 1
        except psutil.Error:
            continue
    return killed


def results(folder: Path, rows: int) -> list[dict[str, Any]]:
    """Wait for this many results, and return them by offset."""
    place = folder / "archive" / "science" / "outliers" / "1" / "results"

    def published() -> list[dict[str, Any]] | None:
        if not place.exists():
            return None
        columns = ["kafka_offset", "status", "score", "model"]
        table = pq.read_table(place, columns=columns).sort_by("kafka_offset")
        found: list[dict[str, Any]] = table.to_pylist()
        return found if len(found) >= rows else None

    found: list[dict[str, Any]] = wait_until(f"{rows} alerts have a score", published)
    return found


def test_a_killed_service_takes_another_model_and_scores_each_alert_once(
    workspace: Workspace, ray_cluster: LocalRay, test_data: Path
) -> None:
    archive = RealArchive(workspace.folder / "archive", test_data)
    archive.put("ztf", list(real_ztf_packets(test_data, "20180626_skyportal_205")))
    first = train(workspace, 1)
    run(workspace, "start", "outliers", "--from", "2020-01-01")
    before = results(workspace.folder, 205)
    assert {row["model"] for row in before} == {first}

    second = train(workspace, 2)
    assert kill_children(ray_cluster)
    more = list(real_ztf_packets(test_data, "20210720_ampel_100_nocutouts"))
    archive.put("ztf", more, NIGHT + timedelta(hours=1))
    rows = results(workspace.folder, 305)
    assert rows[:205] == before
    assert {row["model"] for row in rows[205:]} == {second} != {first}
    assert [row["kafka_offset"] for row in rows] == list(range(305))
    assert all(row["status"] == "ok" and row["score"] is not None for row in rows)
    store = LocalStorage(workspace.folder / "archive" / "science" / "outliers" / "1")
    assert read_state(store).state.balance().archived == 305
    listed = json.loads(run(workspace, "outliers", "list", "--top", "3", "--json"))
    assert [row["rank"] for row in listed] == [1, 2, 3]
    assert {row["model"] for row in listed} == {second}
