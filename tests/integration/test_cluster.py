"""The same archive as a Ray job with shipped code, and on two nodes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finkray.host.ports import free_ports
from finkray.host.process import start_detached
from finkray.ledger.read import read_state
from finkray.status.archive import Snapshot
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

CHECKOUT = Path(__file__).resolve().parents[2]
START_ANOTHER_NODE = """
from ray._private import ray_constants, services
from ray.scripts.scripts import main
ray_constants.ENABLE_RAY_CLUSTER = True
services.get_node_ip_address = lambda address=None: "127.0.0.1"
main()
"""
"""Ray stays on the loopback address if it is told that there is to be one node only; that is
what is wanted here, but not that a second node is refused."""

OTHER_VERSION = "0.0.1+shipped"

METRICS = {
    f"finkray_{name}"
    for name in (
        *("incoming_per_s", "archived_per_s", "latency_s", "lag", "backlog", "held_bytes"),
        *("received", "archived", "dead_lettered", "difference", "alarms"),
    )
}
"""What the dashboards of an observatory may be built on."""


def submit_command() -> list[str]:
    """The README's `ray job submit`, word by word."""
    readme = (CHECKOUT / "README.md").read_text()
    found = re.search(r"^ray job submit.*?finkray\.toml$", readme, re.DOTALL | re.MULTILINE)
    assert found is not None
    return shlex.split(found.group().replace("\\\n", " "))


def a_checkout(folder: Path, config: str) -> Path:
    """A checkout of its own, of a version that is installed nowhere."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, target)
    (folder / "conf" / "finkray.toml").write_text(config)
    init = folder / "finkray" / "__init__.py"
    init.write_text(
        re.sub(r'__version__ = ".*"', f'__version__ = "{OTHER_VERSION}"', init.read_text())
    )
    return folder


def metrics(ray: LocalRay) -> dict[str, set[float]]:
    """The project's metrics and their values, as Prometheus finds and reads them."""
    found: dict[str, set[float]] = {}
    (group,) = json.loads((ray.folder / "prom_metrics_service_discovery.json").read_text())
    for target in group["targets"]:
        with urllib.request.urlopen(f"http://{target}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        line = r"^ray_(finkray_\w+)(?:\{.*\})? (\S+)$"
        for name, value in re.findall(line, text, flags=re.MULTILINE):
            found.setdefault(name, set()).add(float(value))
    return found


def test_the_recipe_of_the_readme(
    archive: ArchiveUnderTest,
    kafka: Kafka,
    topic: str,
    test_data: Path,
    tmp_path: Path,
    ray_cluster: LocalRay,
) -> None:
    """The shipped code runs in every process, and `ray job stop` drains."""
    packets = list(real_ztf_packets(test_data, "202002*"))
    kafka.create_topic(topic, partitions=2)
    send(kafka.bootstrap_servers, topic, packets, partitions=2)
    checkout = a_checkout(tmp_path / "checkout", archive.config.read_text())
    environment = {
        **os.environ,
        **ray_cluster.environment(),
        "RAY_ADDRESS": ray_cluster.dashboard_url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def ray_job(*words: str) -> str:
        done = subprocess.run(
            ["ray", "job", *words], cwd=checkout, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    ray, job, submit, *rest = submit_command()
    assert (ray, job, submit) == ("ray", "job", "submit")
    ray_job("submit", "--no-wait", "--submission-id", "recipe", *rest)
    archive.wait_for_offsets(12)
    told = archive.snapshot()
    assert told is not None
    assert told.version == OTHER_VERSION
    wait_until(
        "the metrics tell of them", lambda: metrics(ray_cluster).get("finkray_archived") == {12.0}
    )
    figures = metrics(ray_cluster)
    assert figures.keys() >= METRICS
    assert figures["finkray_difference"] == {0.0}
    assert len(figures["finkray_latency_s"]) > 1
    send(kafka.bootstrap_servers, topic, packets, partitions=2)
    archive.wait_for_offsets(14)
    ray_job("stop", "recipe")
    log = ray_job("logs", "recipe")
    assert "draining" in log
    assert "archive has drained and stopped" in log
    at_stop = archive.balance()
    assert at_stop.difference == 0
    assert sum(archive.offsets().values()) == at_stop.archived
    assert set(archive.offsets().values()) == {1}


@contextmanager
def second_node(ray: LocalRay, folder: Path) -> Iterator[Path]:
    """Another raylet on the same address, with a temporary folder of its own."""
    temp = Path(f"/tmp/{folder.name[:20]}-{os.getpid()}")
    temp.mkdir()
    agent, agent_grpc, runtime_env_agent, metrics = free_ports(4)
    options = {
        "address": ray.address,
        "node-ip-address": "127.0.0.1",
        "temp-dir": temp,
        "num-cpus": 4,
        "object-store-memory": 512 * 2**20,
        "resources": json.dumps({"writers": 8}),
        "dashboard-agent-listen-port": agent,
        "dashboard-agent-grpc-port": agent_grpc,
        "runtime-env-agent-port": runtime_env_agent,
        "metrics-export-port": metrics,
        "min-worker-port": 0,
        "max-worker-port": 0,
    }
    environment = {**os.environ, **ray.environment()}
    del environment["RAY_ADDRESS"]
    node = start_detached(
        [
            *(sys.executable, "-P", "-c", START_ANOTHER_NODE, "start", "--block"),
            *(f"--{name}={value}" for name, value in options.items()),
        ],
        log=folder / "node.log",
        environment=environment,
        die_with_parent=True,
    )
    log = folder / "node.log"
    try:
        wait_until("the second node", lambda: "Ray runtime started" in log.read_text())
        yield temp
    finally:
        node.terminate()
        node.wait(60)
        shutil.rmtree(temp, ignore_errors=True)


@pytest.mark.nightly("tests/integration/test_cluster.py::test_the_recipe_of_the_readme")
def test_reading_on_one_node_and_writing_on_another(
    archive: ArchiveUnderTest,
    kafka: Kafka,
    topic: str,
    test_data: Path,
    tmp_path: Path,
    ray_cluster: LocalRay,
) -> None:
    """Each Spark worker attaches to its own node, and the batches cross over."""
    packets = list(real_ztf_packets(test_data, "20200101*"))
    kafka.create_topic(topic, partitions=2)
    sent = send(kafka.bootstrap_servers, topic, packets, partitions=2)
    archive.settings = {
        "ingest": {"resources": {"node:__internal_head__": 0.01}},
        "spark": {"resources": {"writers": 1}},
    }
    with second_node(ray_cluster, tmp_path):
        archive.start()
        archive.wait_for_offsets(sent)
        told = wait_until("a snapshot after the last alert", lambda: _settled(archive, sent))
        readers = {actor.node_id for actor in told.actors}
        writers = set(told.micro_batch.writer_node_ids)
        archive.stop()
    assert len(readers) == len(writers) == 1
    assert readers != writers
    assert archive.offsets() == Counter({(n % 2, n // 2): 1 for n in range(sent)})
    assert read_state(LocalStorage(archive.root)).state.balance().difference == 0


def _settled(archive: ArchiveUnderTest, sent: int) -> Snapshot | None:
    snapshot = archive.snapshot()
    return snapshot if snapshot and snapshot.balance.archived == sent else None
