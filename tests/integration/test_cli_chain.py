"""The commands of the README run the whole chain in a folder that is not the checkout."""

import functools
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds
import pytest

from finkray.host.ports import free_ports
from jobs.cluster.local_ray import find_local_ray, stop_local_ray
from jobs.cluster.simulated_kafka import running_kafka
from tests.support import commands
from tests.support.archiving import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

ALERTS = 400
README = (Path(__file__).parents[2] / "README.md").read_text()
SECRET = "hunter2"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Its own state folder, and settings of a Kafka with a login that `--simulator` replaces."""
    prefixes = ("FINKRAY", "RAY_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    state = tmp_path / "state"
    yield {
        **inherited,
        "FINKRAY_STATE": str(state),
        "FINKRAY__SIMULATOR__ALERTS": str(ALERTS),
        "FINKRAY__RAY__LOCAL_DASHBOARD_PORT": "0",
        "FINKRAY__RAY__LOCAL_CPUS": "2",
        "FINKRAY__UI__PORT": str(free_ports(1)[0]),
        "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": "kafka.example.org:9092",
        "FINKRAY__KAFKA__SASL_USERNAME": "me",
        "FINKRAY__KAFKA__SASL_PASSWORD": SECRET,
    }
    if state.exists():
        stop_local_ray(state)


def readme_commands() -> list[list[str]]:
    """Return the arguments of each `finkray` command under "By hand" in the README."""
    section = README.split("\n## By hand\n")[1]
    block = section.split("```sh\n")[1].split("```")[0]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [line[1:] for line in lines if line[0] == "finkray"]


def test_the_commands_of_the_readme_archive_simulated_alerts(
    tmp_path: Path, env: dict[str, str]
) -> None:
    finkray = functools.partial(commands.finkray, folder=tmp_path, environment=env)
    page = iter(readme_commands())

    def follow(*arguments: str) -> str:
        """Run the next command of the page, which must begin with these arguments."""
        command = next(page)
        assert command[: len(arguments)] == list(arguments)
        answer = finkray(*command)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    checked = follow("check")
    assert "kafka: none runs; `finkray start archive --simulator` starts" in checked
    assert "\nno " not in checked
    follow("start", "archive")

    def all_is_durable() -> Any:
        snapshot = json.loads(finkray("status", "--json").stdout)["snapshot"]
        return snapshot if snapshot["balance"]["archived"] == ALERTS else None

    snapshot = wait_until("all alerts are durable", all_is_durable)
    assert snapshot["archive_uri"] == str(tmp_path / "archive")
    assert "difference 0" in follow("status")
    assert finkray("check", "--simulator").returncode == 0
    _assert_the_wrong_kafka_gets_a_hint(env, tmp_path)
    follow("start", "ui")
    _assert_streaming_out_reports(env, tmp_path)
    assert "balanced" in follow("audit")
    assert "no dead letters" in follow("deadletters")

    local = find_local_ray(Path(env["FINKRAY_STATE"]))
    assert local is not None
    head = local.process.process()
    assert head is not None
    _assert_not_shown(SECRET, [head, *head.children(recursive=True)])

    assert "archive" in follow("logs", "archive")
    follow("stop", "archive")
    services = json.loads(finkray("status", "--json").stdout)["services"]
    assert {service["name"] for service in services} == {"simulator", "ui", "streamout"}
    assert finkray("audit", "--simulator", "--deep", "all").returncode == 0

    processes = [head, *head.children(recursive=True)]
    follow("stop", "--all")
    assert list(page) == []
    assert find_local_ray(Path(env["FINKRAY_STATE"])) is None
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    logs = "".join(log.read_text() for log in Path(env["FINKRAY_STATE"], "logs").iterdir())
    assert "archive has drained and stopped" in logs
    assert SECRET not in logs
    assert ds.dataset(tmp_path / "archive" / "alerts").count_rows() == ALERTS


def _assert_streaming_out_reports(env: dict[str, str], folder: Path) -> None:
    """Publish a filter, start streaming out, and see it in the status."""
    kafka = running_kafka(Path(env["FINKRAY_STATE"]))
    assert kafka is not None
    own = {**env, "FINKRAY__STREAMOUT__BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    (folder / "bright.py").write_text("def bright(magpsf):\n    return magpsf < 17\n")
    for command in (
        ("filter", "publish", "bright.py", "--topic", "bright"),
        ("start", "streamout"),
    ):
        answer = commands.finkray(*command, folder=folder, environment=own)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"

    def reported() -> Any:
        return json.loads(
            commands.finkray("status", "--json", folder=folder, environment=env).stdout
        )["streamout"]

    snapshot = wait_until("streaming out to report", reported)
    assert [each["name"] for each in snapshot["filters"]] == ["bright"]
    assert snapshot["problem"] == ""


def _assert_the_wrong_kafka_gets_a_hint(env: dict[str, str], folder: Path) -> None:
    nowhere = {**env, "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_ports(1)[0]}"}
    for command, code in (("audit", 3), ("check", 1)):
        answer = commands.finkray(command, folder=folder, environment=nowhere)
        assert answer.returncode == code
        hint = (
            "The simulator's Kafka runs, and this command used another one: did you mean "
            f"`finkray {command} --"
        )
        assert hint in answer.stdout + answer.stderr


def _assert_not_shown(secret: str, processes: list[psutil.Process]) -> None:
    inspected = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            shown = " ".join([*process.cmdline(), *process.environ().values()])
            inspected += 1
            assert secret not in shown, process
    assert inspected > 10
