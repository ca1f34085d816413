"""docs/simulator.md is true: its commands do what it says, and it names every kind of poison."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cluster.local_ray import find_local_ray, stop_local_ray
from sim.player.manifest import read_manifest, read_objects
from sim.player.poison import KINDS
from tests.support.archiving import wait_until
from tests.support.commands import finkray

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

TEXT = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    mine = ("FINKRAY", "RAY_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    state = tmp_path / "state"
    yield {
        **inherited,
        "FINKRAY_STATE": str(state),
        "FINKRAY__RAY__LOCAL_DASHBOARD_PORT": "0",
        "FINKRAY__RAY__LOCAL_CPUS": "2",
    }
    if state.exists():
        stop_local_ray(state)


def test_its_commands(tmp_path: Path, env: dict[str, str]) -> None:
    def run(command: str) -> "subprocess.CompletedProcess[str]":
        name, *words = shlex.split(command)
        assert name == "finkray"
        return finkray(*words, folder=tmp_path, environment=env)

    (block,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    start, check, *stops = block.strip().splitlines()
    started = run(start)
    assert started.returncode == 0, started.stdout + started.stderr
    # "As long as alerts are on their way it says which are missing, and no."
    said: list[subprocess.CompletedProcess[str]] = []

    def all_is_as_it_should_be() -> bool:
        said.append(run(check))
        return said[-1].returncode == 0

    try:
        wait_until("all is archived", all_is_as_it_should_be)
    except AssertionError:
        pytest.fail(said[-1].stdout + said[-1].stderr)
    assert "All is as it should be." in said[-1].stdout
    for command in stops:
        stopped = run(command)
        assert stopped.returncode == 0, stopped.stderr
    assert find_local_ray(Path(env["FINKRAY_STATE"])) is None

    messages = read_manifest(tmp_path / "night").messages
    good = [row for row in messages.to_pylist() if row["candid"] and not row["aborted"]]
    assert len({row["candid"] for row in good}) == 1_000
    for table in (messages, read_objects(tmp_path / "night")):
        assert set(table.column_names) <= set(re.findall(r"`(\w+)`", TEXT))


def test_every_kind_of_poison_is_explained() -> None:
    assert set(KINDS) <= set(re.findall(r"`(\w+)`", TEXT))
