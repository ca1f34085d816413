"""The live commands of docs/classify.md run on real alerts, a real catalogue and a real Ray."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from finkray.host.processes import command_of
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import find_local_ray, stop_local_ray
from jobs.cluster.started_jobs import started_jobs
from tests.support import docs_pages
from tests.support.archiving import wait_until
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import LSST_ALERTS, ZTF_ALERTS, real_archive, write_gcvs
from tests.support.small_archives import NIGHT
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "classify.md"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = make_workspace(tmp_path).with_env(FINKRAY__RAY__LOCAL_CPUS="4")
    yield workspace
    stop_local_ray(workspace.state)


def run(workspace: Workspace, command: str) -> str:
    binaries = f"{Path(sys.executable).parent}:{workspace.env['PATH']}"
    return docs_pages.follow(command, workspace.folder, {**workspace.env, "PATH": binaries})


def kill_aggregation(workspace: Workspace) -> None:
    ray = find_local_ray(workspace.state)
    head = ray.process.process() if ray else None
    assert head is not None
    processes = [
        process
        for process in head.children(recursive=True)
        if "jobs.daemons.aggregation" in command_of(process)
    ]
    assert processes
    for process in processes:
        process.kill()


def running_jobs(workspace: Workspace) -> list[str]:
    answer = workspace.command("status", "--json")
    return [job["name"] for job in json.loads(answer.stdout)["services"]]


def restarts(workspace: Workspace, name: str) -> int:
    return started_jobs(workspace.state)[name].restarts


def classes_of(services: list[dict[str, Any]]) -> dict[str, int]:
    """Return the counts by class of `classify`, over all nights."""
    counts: dict[str, int] = {}
    for service in services:
        for night in service["nights"] if service["name"] == "classify" else ():
            for name, alerts in night["classes"].items():
                counts[name] = counts.get(name, 0) + alerts
    return counts


@pytest.mark.nightly(
    "tests/unit/docs/test_classify.py::test_who_follows_the_page_has_a_class_beside_each_alert",
    "tests/integration/test_services.py::test_the_page_on_services_is_true_word_by_word",
)
def test_alerts_have_a_class_a_count_and_a_bar_soon_after_they_are_durable(
    workspace: Workspace, test_data: Path
) -> None:
    archive = real_archive(workspace.folder / "archive", test_data)
    write_gcvs(workspace.folder, test_data)
    add, build, _run = docs_pages.commands(PAGE, live=False)
    live = docs_pages.commands(PAGE, live=True)[3:]
    assert [line.split()[1] for line in live] == ["start"] * 3 + ["status"] + ["stop"] * 3
    run(workspace, add)
    run(workspace, build)
    assert "classify: running, 1 warm, version 1" in run(workspace, live[0])
    assert "aggregation: running" in run(workspace, live[1])
    run(workspace, live[2])

    page = Client(f"http://127.0.0.1:{workspace.port}", verbose=False)

    def shown() -> dict[str, int]:
        return classes_of(page.predict(api_name="/classes"))

    def in_status() -> dict[str, int]:
        answer = workspace.command("status", "--json")
        return classes_of(json.loads(answer.stdout)["classes"])

    first = ZTF_ALERTS + LSST_ALERTS
    wait_until("the page counts the alerts of before", lambda: sum(shown().values()) == first)
    assert {"RR*", "Mi*", "Unknown"} <= set(shown())
    assert "not checked" not in shown()

    # After a kill the Ray watcher starts the aggregation, which continues from the state that it
    # saved.
    wait_until("the aggregation has saved its counts", lambda: in_status() == shown())
    kill_aggregation(workspace)
    wait_until("it was started again", lambda: restarts(workspace, "aggregation") == 1)
    wait_until("it runs again", lambda: "aggregation" in running_jobs(workspace))

    more = list(real_ztf_packets(test_data, "20210720_ampel_100_nocutouts"))
    archive.put("ztf", more, NIGHT + timedelta(hours=1))
    total = first + len(more)
    wait_until("the page counts the new alerts", lambda: sum(shown().values()) == total)
    assert shown()["Sy*"] == 1

    (service,) = page.predict(api_name="/services")
    assert (service["name"], service["state"], service["breaker"]) == (
        "classify",
        "running",
        "closed",
    )

    wait_until("the aggregation has saved its counts", lambda: in_status() == shown())
    text = run(workspace, live[3])
    assert "classify, night of 2021-07-" in text
    assert "aggregation" in text
    for command in live[4:]:
        assert "has ended" in run(workspace, command)
    assert find_local_ray(workspace.state) is None
    store = LocalStorage(workspace.folder / "archive" / "science" / "classify" / "1")
    assert read_state(store).state.balance().archived == total


def test_without_an_archive_there_is_nothing_to_count(workspace: Workspace) -> None:
    refused = workspace.command("start", "aggregation")
    assert refused.returncode == 2
    assert "there is no archive in" in refused.stderr
    assert find_local_ray(workspace.state) is None
