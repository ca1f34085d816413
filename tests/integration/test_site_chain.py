"""The archive at a site: TLS, logins, few rights, compressed batches, leaders that go away."""

import json
import os
import signal
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow.dataset as ds
import pytest
from confluent_kafka import Producer

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.kafka import KafkaSettings
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.read_only import allow_reading
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import add_partitions, real_ztf_packets, send
from tests.support.shift import assert_alarm_is_told
from tests.support.site_kafka import USER, SiteKafka, site_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""As they stand in the attributes of a batch of records (Kafka's protocol, RecordBatch)."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SiteKafka]:
    with site_kafka(tmp_path / "site") as running:
        yield running


@pytest.mark.nightly(
    "tests/integration/test_site_kafka.py::test_a_login_with_a_right_to_read_is_all_that_it_takes",
    "tests/integration/test_site_kafka.py::test_no_right_on_a_group_is_needed_to_read",
    "tests/integration/test_kafka_loses.py::"
    "test_a_partition_without_a_leader_does_not_keep_others_from_being_read",
    "tests/integration/test_lane_reader.py::test_a_consumer_that_gets_no_answer_is_replaced",
)
def test_a_night_at_a_site(
    tmp_path: Path, site: SiteKafka, topic: str, test_data: Path, ray_cluster: LocalRay
) -> None:
    """Four codecs, aborted transactions, new partitions, a leader that hangs, a broker that dies.

    The archive is a job of `finkray start`, and its password is a word that is looked for in all
    that it leaves behind.
    """
    packets = list(real_ztf_packets(test_data, "202002*"))
    doors = site.broker.bootstrap_servers
    topics = {codec: f"{topic}_{codec}" for codec in CODECS}
    for codec, name in topics.items():
        site.broker.create_topic(name)
        allow_reading(doors, USER, name)
        send(doors, name, packets, options={"compression.type": codec, "linger.ms": 200})
        assert codec_of_first_batch(site, name) == CODECS[codec]
    transactions(doors, topics["zstd"], packets[:4])
    archive = ArchiveUnderTest(
        tmp_path / "archive",
        tmp_path,
        site.broker.login_servers,
        [f"^{topic}_"],
        {**ray_cluster.environment(), "FINKRAY_STATE": str(tmp_path / "state")},
    )
    fast = {"ssl.ca.location": str(site.ca), "socket.timeout.ms": 5000}

    archive.settings = {"kafka": site.settings(sasl_password="guessed", options=fast)}
    archive.start()
    try:
        wait_until(
            "the alarm about the login", lambda: "the login is refused" in kafka_alarm(archive)
        )
    finally:
        archive.kill()

    archive.process = None  # from here on it is a job
    archive.settings = {"kafka": site.settings(options=fast)}
    finkray(archive, "start", "archive")
    try:
        # Beside the packets: four of a committed and four of an aborted transaction, two markers.
        archive.wait_for_offsets(4 * 12 + 10)

        add_partitions(doors, topics["gzip"], 3)
        send(doors, topics["gzip"], packets, partitions=3)
        archive.wait_for_offsets(4 * 12 + 10 + 12)

        wait_until("no alarm", lambda: not kafka_alarm(archive))
        leader = site.broker.pid
        assert leader is not None
        os.kill(leader, signal.SIGSTOP)
        try:
            # For three of the clients' time limits: by then a client has given its connection up,
            # and from then on, some never tried again.
            wait_until("the alarm about the leader", lambda: kafka_alarm_s(archive) > 15)
        finally:
            os.kill(leader, signal.SIGCONT)
        send(doors, topics["lz4"], packets)
        archive.wait_for_offsets(4 * 12 + 10 + 24)
        wait_for_the_end_of_the_alarm(archive)

        site.broker.kill()
        wait_until("the alarm about the broker", lambda: kafka_alarm(archive))
        assert_alarm_is_told(archive, "KAFKA_UNREACHABLE", "unknown")
        site.broker.restart()
        # No alert comes meanwhile: that Kafka answers again is enough.
        wait_for_the_end_of_the_alarm(archive)
        send(doors, topics["snappy"], packets)
        archive.wait_for_offsets(4 * 12 + 10 + 36)
        told = finkray(archive, "status", "--json")
        assert json.loads(told)["snapshot"]["balance"]["received"] == 94
        shown = {"finkray status --json": told, **dashboard(ray_cluster)}
        assert_not_in_processes(site.password, ray_cluster)
        # The settings that the job was given, for its owner alone and only as long as it runs.
        told_files = texts_below(tmp_path / "state").items()
        (given,) = [Path(name) for name, text in told_files if site.password in text]
        assert given.stat().st_mode & 0o077 == 0
    finally:
        finkray(archive, "stop", "archive")

    kafka = KafkaCluster(KafkaSettings(**site.settings()).client_config())
    report = audit(LocalStorage(archive.root), kafka, deep="all")
    assert report.balanced
    assert (report.archived, report.not_delivered, report.waiting) == (88, 6, 0)
    rows = ds.dataset(archive.root / "alerts", format="parquet").to_table(
        columns=["kafka_topic", "kafka_partition", "kafka_offset"]
    )
    assert max(Counter(map(tuple, (row.values() for row in rows.to_pylist()))).values()) == 1

    for folder in (archive.root, ray_cluster.folder, tmp_path / "state"):
        shown |= texts_below(folder)
    shown["archive.log"] = archive.log.read_text()
    # What it may not do at a broker that lets it read alone, it does without.
    assert "Traceback" not in "".join(texts_below(tmp_path / "state" / "logs").values())
    assert len(shown) > 50
    assert [name for name, text in shown.items() if site.password in text] == []


def codec_of_first_batch(site: SiteKafka, topic: str) -> int:
    log = site.broker.folder / "data" / f"{topic}-0" / f"{0:020d}.log"
    return int.from_bytes(log.read_bytes()[21:23], "big") & 0b111


def transactions(bootstrap_servers: str, topic: str, packets: list[bytes]) -> None:
    """One that is committed and one that is aborted, of so many packets each."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "transactional.id": f"tx-{topic}",
            "compression.type": "zstd",
        }
    )
    producer.init_transactions(60)
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for packet in packets:
            producer.produce(topic, packet, partition=0)
        producer.flush(30)
        end(60)


def kafka_alarm(archive: ArchiveUnderTest) -> str:
    snapshot = archive.snapshot()
    alarms = snapshot.alarms if snapshot else ()
    return next((alarm.message for alarm in alarms if alarm.code == "KAFKA_UNREACHABLE"), "")


def kafka_alarm_s(archive: ArchiveUnderTest) -> float:
    """Return for how many seconds the alarm about Kafka has been raised; 0 if it is not."""
    snapshot = archive.snapshot()
    since = [a.since for a in snapshot.alarms if a.code == "KAFKA_UNREACHABLE"] if snapshot else []
    return (snapshot.at - since[0]).total_seconds() if snapshot and since else 0.0


def wait_for_the_end_of_the_alarm(archive: ArchiveUnderTest) -> None:
    told = ""

    def ended() -> bool:
        nonlocal told
        told = kafka_alarm(archive)
        return not told

    try:
        wait_until("the end of the alarm", ended)
    except AssertionError as error:
        error.add_note(told)
        raise


def finkray(archive: ArchiveUnderTest, *words: str) -> str:
    done = archive.finkray(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dashboard(ray: LocalRay) -> dict[str, str]:
    """What Ray's dashboard answers about jobs, actors, processes and environments."""
    token = ray.token_file.read_text()
    texts = {}
    for page in (
        "api/jobs/",
        "api/v0/actors?detail=1",
        "api/v0/jobs?detail=1",
        "api/v0/workers?detail=1",
        "api/v0/tasks?detail=1",
        "api/v0/runtime_envs?detail=1",
        "logical/actors",
        "nodes?view=details",
    ):
        question = urllib.request.Request(
            f"{ray.dashboard_url}/{page}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(question, timeout=30) as answer:
                texts[page] = answer.read().decode()
        except urllib.error.HTTPError as error:
            texts[page] = error.read().decode()  # what Ray shows of an error of its own counts too
    assert "finkray.archive" in texts["api/jobs/"]
    assert "finkray-ingest-0" in texts["logical/actors"]
    return texts


def texts_below(folder: Path) -> dict[str, str]:
    return {
        str(path): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def assert_not_in_processes(secret: str, ray: LocalRay) -> None:
    looked_at = 0
    for process in psutil.Process(ray.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            shown = " ".join([*process.cmdline(), *process.environ().values()])
            looked_at += 1
            assert secret not in shown, process
    assert looked_at > 5
