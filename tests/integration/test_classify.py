"""docs/classify.md, the live part: real alerts and a real catalogue, on a real Ray."""

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import find_local_ray, stop_local_ray
from tests.support import docs_pages
from tests.support.archiving import wait_until
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import LSST_ALERTS, ZTF_ALERTS, gcvs_here, real_archive
from tests.support.small_archives import NIGHT
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "classify.md"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = make_workspace(tmp_path).with_env(FINKRAY__RAY__LOCAL_CPUS="4")
    yield workspace
    stop_local_ray(workspace.state)


def say(workspace: Workspace, command: str) -> str:
    binaries = f"{Path(sys.executable).parent}:{workspace.env['PATH']}"
    return docs_pages.follow(command, workspace.folder, {**workspace.env, "PATH": binaries})


def kill_aggregation(workspace: Workspace) -> None:
    ray = find_local_ray(workspace.state)
    father = ray.process.process() if ray else None
    assert father is not None
    victims = [
        one
        for one in father.children(recursive=True)
        if "jobs.daemons.aggregation" in one.cmdline()
    ]
    assert victims
    for one in victims:
        one.kill()


def running(workspace: Workspace) -> list[str]:
    answer = workspace.command("status", "--json")
    return [one["name"] for one in json.loads(answer.stdout)["services"]]


def classes_of(told: list[dict[str, Any]]) -> dict[str, int]:
    """The counts of `classify`, of all nights together."""
    found: dict[str, int] = {}
    for one in told:
        for night in one["nights"] if one["name"] == "classify" else ():
            for name, alerts in night["classes"].items():
                found[name] = found.get(name, 0) + alerts
    return found


def test_alerts_have_a_class_a_count_and_a_bar_soon_after_they_are_durable(
    workspace: Workspace, test_data: Path
) -> None:
    archive = real_archive(workspace.folder / "archive", test_data)
    gcvs_here(workspace.folder, test_data)
    add, build, _run = docs_pages.commands(PAGE, live=False)
    live = docs_pages.commands(PAGE, live=True)[3:]
    assert [line.split()[1] for line in live] == ["start"] * 3 + ["status"] + ["stop"] * 3
    say(workspace, add)
    say(workspace, build)
    assert "classify: running, 1 warm, version 1" in say(workspace, live[0])
    assert "aggregation: running" in say(workspace, live[1])
    say(workspace, live[2])

    page = Client(f"http://127.0.0.1:{workspace.port}", verbose=False)

    def shown() -> dict[str, int]:
        return classes_of(page.predict(api_name="/classes"))

    def in_status() -> dict[str, int]:
        answer = workspace.command("status", "--json")
        return classes_of(json.loads(answer.stdout)["classes"])

    first = ZTF_ALERTS + LSST_ALERTS
    wait_until("what came before is counted on the page", lambda: sum(shown().values()) == first)
    assert {"RR*", "Mi*", "Unknown"} <= set(shown())
    assert "not checked" not in shown()

    # Killed, and started again: it goes on from what it has written down.
    wait_until("the aggregation has written it down", lambda: in_status() == shown())
    kill_aggregation(workspace)
    wait_until("Ray has seen it", lambda: "aggregation" not in running(workspace))
    assert "aggregation: running" in say(workspace, live[1])

    more = list(real_ztf_packets(test_data, "20210720_ampel_100_nocutouts"))
    archive.put("ztf", more, NIGHT + timedelta(hours=1))
    every = first + len(more)
    wait_until("what is new is on the page", lambda: sum(shown().values()) == every)
    assert shown()["Sy*"] == 1

    (service,) = page.predict(api_name="/services")
    assert (service["name"], service["state"], service["breaker"]) == (
        "classify",
        "running",
        "closed",
    )

    wait_until("the aggregation has written it down", lambda: in_status() == shown())
    text = say(workspace, live[3])
    assert "classify 1, classes of the night of 2021-07-" in text
    assert "aggregation" in text
    for command in live[4:]:
        assert "has ended" in say(workspace, command)
    assert find_local_ray(workspace.state) is None
    store = LocalStorage(workspace.folder / "archive" / "science" / "classify" / "1")
    assert read_state(store).state.balance().archived == every


def test_without_an_archive_there_is_nothing_to_count(workspace: Workspace) -> None:
    refused = workspace.command("start", "aggregation")
    assert refused.returncode == 2
    assert "there is no archive in" in refused.stderr
    assert find_local_ray(workspace.state) is None
