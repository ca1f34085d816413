"""The whole chain from the command line alone, in a folder that is not the checkout."""

import functools
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds
import pytest

from jobs.local_ray import find_local_ray, stop_local_ray
from tests import commands
from tests.archiving import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

ALERTS = 400
SECRET = "hunter2"


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A state of its own; the settings name a Kafka with a login, which `--simulator` replaces."""
    mine = ("FINKRAY", "RAY_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    state = tmp_path / "state"
    yield {
        **inherited,
        "FINKRAY_STATE": str(state),
        "FINKRAY__SIMULATOR__ALERTS": str(ALERTS),
        "FINKRAY__RAY__LOCAL_DASHBOARD_PORT": "0",
        "FINKRAY__RAY__LOCAL_CPUS": "2",
        "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": "kafka.example.org:9092",
        "FINKRAY__KAFKA__SASL_USERNAME": "me",
        "FINKRAY__KAFKA__SASL_PASSWORD": SECRET,
    }
    if state.exists():
        stop_local_ray(state)


def test_archive_simulated_alerts(tmp_path: Path, env: dict[str, str]) -> None:
    finkray = functools.partial(commands.finkray, folder=tmp_path, environment=env)
    started = finkray("start", "archive", "--simulator")
    assert started.returncode == 0, started.stdout + started.stderr

    def all_is_durable() -> Any:
        snapshot = json.loads(finkray("status", "--json").stdout)["snapshot"]
        return snapshot if snapshot["balance"]["archived"] == ALERTS else None

    snapshot = wait_until("all alerts are durable", all_is_durable)
    assert snapshot["archive_uri"] == str(tmp_path / "archive")

    audited = finkray("audit", "--simulator", "--json")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert json.loads(audited.stdout)["balanced"] is True

    local = find_local_ray(Path(env["FINKRAY_STATE"]))
    assert local is not None
    head = local.process.process()
    assert head is not None
    _assert_not_shown(SECRET, [head, *head.children(recursive=True)])

    stopped = finkray("stop", "archive")
    assert stopped.returncode == 0, stopped.stderr
    services = json.loads(finkray("status", "--json").stdout)["services"]
    assert [service["name"] for service in services] == ["simulator"]
    assert finkray("audit", "--simulator", "--deep", "all").returncode == 0

    processes = [head, *head.children(recursive=True)]
    stopped = finkray("stop", "simulator")
    assert stopped.returncode == 0, stopped.stderr
    assert find_local_ray(Path(env["FINKRAY_STATE"])) is None
    assert psutil.wait_procs(processes, timeout=10)[1] == []
    logs = "".join(log.read_text() for log in Path(env["FINKRAY_STATE"], "logs").iterdir())
    assert "the archive has left in good order" in logs
    assert SECRET not in logs
    assert ds.dataset(tmp_path / "archive" / "alerts").count_rows() == ALERTS


def _assert_not_shown(secret: str, processes: list[psutil.Process]) -> None:
    looked_at = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            shown = " ".join([*process.cmdline(), *process.environ().values()])
            looked_at += 1
            assert secret not in shown, process
    assert looked_at > 10
