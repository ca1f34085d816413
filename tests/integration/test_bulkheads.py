"""Bulkheads: whatever services do to themselves, the archive and the other services go on.

The whole chain, with services started as users start them.
"""

import io
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.bulkheads import MODULE, SETTINGS
from tests.support.packets import send
from tests.support.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

FIRST, ALL = 100, 400
BAD = ("slow", "throwing", "hanging", "leaking")

SCHEMA = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
    ],
}


def packets(first: int, last: int) -> Iterator[bytes]:
    for number in range(first, last):
        packet = io.BytesIO()
        record = {"objectId": f"ZTF26{number:07d}", "candid": number}
        fastavro.writer(packet, SCHEMA, [record])
        yield packet.getvalue()


@pytest.fixture
def workspace(tmp_path: Path, ray_cluster: LocalRay, archive: ArchiveUnderTest) -> Workspace:
    """A folder with the module, in which commands are given beside the archive."""
    (tmp_path / "mymodule.py").write_text(MODULE)
    (tmp_path / "stuck").touch()
    settings = {
        "FINKRAY_CONFIG": str(archive.config),
        "FINKRAY__RAY__STOP_WAIT_S": "20",
        "FINKRAY__SERVICES__MAX_ACTORS": "1",
        "FINKRAY__SERVICES__BATCH_ROWS": "50",
        # Else a busy machine lets a batch of innocent alerts take so long that it counts as hung.
        "FINKRAY__SERVICES__NICE": "0",
        "FINKRAY__SERVICES__BREAKER_FAILURES": "3",
        "FINKRAY__SERVICES__BREAKER_REST_S": "0.5",
        "FINKRAY__SERVICES__BREAKER_LONGEST_REST_S": "2",
    }
    return make_workspace(tmp_path).with_env(**ray_cluster.environment(), **settings)


def status(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What each service says of itself."""
    answer = workspace.command("status", "--json")
    assert answer.returncode == 0, answer.stderr
    return {one["name"]: one for one in json.loads(answer.stdout)["own_services"]}


def results(archive: ArchiveUnderTest, name: str) -> pa.Table:
    folder = archive.root / "science" / name / "1" / "results"
    return pq.read_table(folder).sort_by("kafka_offset")


def served(archive: ArchiveUnderTest, name: str) -> int:
    """How many alerts have a durable result."""
    return read_state(LocalStorage(archive.root / "science" / name / "1")).state.balance().archived


def start_all(workspace: Workspace) -> None:
    def start(name: str) -> "subprocess.CompletedProcess[str]":
        own = {f"FINKRAY__SERVICES__{key}": value for key, value in SETTINGS[name].items()}
        return workspace.command("start", f"mymodule:{name}", "--from", "2020-01-01", **own)

    with ThreadPoolExecutor() as pool:
        for done in pool.map(start, SETTINGS):
            assert done.returncode == 0, done.stderr


def stop_all(workspace: Workspace) -> None:
    (workspace.folder / "stuck").unlink(missing_ok=True)
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda name: workspace.command("stop", name.lower()), SETTINGS):
            assert done.returncode == 0, done.stderr


def slow_process(workspace: Workspace, not_pid: int = 0) -> psutil.Process | None:
    """The process with the slow service that is in the middle of a batch; not `not_pid`."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        pid = int((workspace.folder / "slow.busy").read_text())
        return psutil.Process(pid) if pid != not_pid else None
    return None


def processes(workspace: Workspace, name: str) -> int:
    """How many processes a service has had."""
    marks = workspace.folder / f"{name}.pids"
    return len(marks.read_text().splitlines()) if marks.exists() else 0


@pytest.mark.nightly(
    "tests/integration/test_outliers_live.py::"
    "test_a_killed_service_takes_another_model_and_scores_each_alert_once",
    "tests/unit/finkray/serving/test_worker.py::"
    "test_a_hanging_batch_is_ended_and_the_next_one_is_answered",
    "tests/unit/finkray/serving/test_worker.py::"
    "test_a_leak_ends_at_the_limit_and_what_is_mapped_does_not_count",
)
def test_bad_services_hold_up_neither_the_archive_nor_a_good_one(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, workspace: Workspace
) -> None:
    kafka.create_topic(topic)
    archive.start()
    wait_until("there is an archive", (archive.root / "ledger").is_dir)
    send(kafka.bootstrap_servers, topic, packets(0, FIRST))
    try:
        start_all(workspace)
        all_are_stuck(archive, workspace)
        send(kafka.bootstrap_servers, topic, packets(FIRST, ALL))
        archive.wait_for_offsets(ALL)
        wait_until("the good one has them all", lambda: served(archive, "good") == ALL)
        the_others_are_stuck_still(archive, workspace)
        the_slow_one_is_killed_twice(workspace)

        (workspace.folder / "stuck").unlink()
        for name in BAD:
            wait_until(f"{name} has them all", lambda name=name: served(archive, name) == ALL)
        the_guilty_alerts_are_told_and_no_others(archive)
        assert processes(workspace, "slow") >= 3
        closed = wait_until("all breakers are closed", lambda: all_closed(workspace))
        assert closed["throwing"]["breaker_opened"] >= 1
        assert archive.process is not None
        assert archive.process.poll() is None
    finally:
        stop_all(workspace)
    archive.stop()
    report = audit(
        LocalStorage(archive.root),
        KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers}),
        deep="all",
    )
    assert report.balanced, report
    for name in ("good", *BAD):
        store = LocalStorage(archive.root / "science" / name / "1")
        sheet = read_state(store).state.balance()
        assert (sheet.archived, sheet.difference) == (ALL, 0)


def all_are_stuck(archive: ArchiveUnderTest, workspace: Workspace) -> None:
    # Seen by their marks first: each `finkray status` takes the machine from the services.
    wait_until("the slow one is at it", lambda: slow_process(workspace))
    for name in ("hanging", "leaking"):
        wait_until(f"{name} is ended", lambda name=name: processes(workspace, name) > 1)
    wait_until("the good one works", lambda: served(archive, "good") == FIRST)

    def paused() -> bool:
        told = status(workspace)
        return bool(told["throwing"]["breaker"] != "closed")

    wait_until("the throwing one pauses", paused)


def the_others_are_stuck_still(archive: ArchiveUnderTest, workspace: Workspace) -> None:
    sheet = archive.balance()
    assert (sheet.received, sheet.archived, sheet.difference) == (ALL, ALL, 0)
    assert [served(archive, name) for name in BAD] == [0] * len(BAD)
    told = status(workspace)
    assert told["slow"]["busy"] == 1
    assert told["hanging"]["faults"]["time"] > 0
    assert told["leaking"]["faults"]["memory"] > 0
    assert told["throwing"]["breaker"] in ("open", "half_open")
    assert told["throwing"]["last_fault"].startswith("raised: ConnectionError: no catalogue")
    assert told["throwing"]["waiting"] == ALL
    assert told["good"]["breaker"] == "closed"
    assert told["good"]["faults"] == {}


def the_slow_one_is_killed_twice(workspace: Workspace) -> None:
    """First its process, then the actor that keeps it, each in the middle of a batch."""
    first = slow_process(workspace)
    assert first is not None
    first.kill()
    again = wait_until("a fresh process", lambda: slow_process(workspace, first.pid))
    again.parent().kill()


def the_guilty_alerts_are_told_and_no_others(archive: ArchiveUnderTest) -> None:
    guilty = {
        "good": {},
        "slow": {},
        "throwing": {
            n: f"raised: ConnectionError: no catalogue for {n}" for n in range(7, ALL, 50)
        },
        "hanging": {13: "time: no answer within 4 s"},
        "leaking": {13: "memory: it took "},
    }
    for name, reasons in guilty.items():
        table = results(archive, name)
        assert table["kafka_offset"].to_pylist() == list(range(ALL))
        expected = ["error" if n in reasons else "ok" for n in range(ALL)]
        assert table["status"].to_pylist() == expected, name
        double = [None if n in reasons else 2 * n for n in range(ALL)]
        assert table["double"].to_pylist() == double, name
        for offset, reason in reasons.items():
            assert table["reason"][offset].as_py().startswith(reason)


def all_closed(workspace: Workspace) -> dict[str, dict[str, Any]] | None:
    told = status(workspace)
    return told if all(one["breaker"] == "closed" for one in told.values()) else None
