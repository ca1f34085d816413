"""The simulator's Kafka is a real one that starts, is found again, crashes and ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from finkray.errors import FinkrayError, KafkaUnavailable
from finkray.host.processes import command_of, running_processes
from sim.broker.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

_OWNER = """
import pathlib, sys, time
from finkray.host.processes import command_of, running_processes
from sim.broker.kafka import Kafka
Kafka.start(pathlib.Path(sys.argv[1]), die_with_parent={})
print("up", flush=True)
time.sleep(300)
"""


def _send(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    errors: list[KafkaError] = []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and errors.append(error))
    assert producer.flush(60) == 0
    assert not errors


def _receive(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "reader"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        messages = [consumer.poll(30) for _ in range(count)]
    finally:
        consumer.close()
    assert all(message is not None and message.error() is None for message in messages)
    return [message.value() for message in messages if message is not None]


def _eventually(holds: Callable[[], bool], within_s: float = 15) -> bool:
    deadline_s = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return holds()


def _processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that has the folder in its command line: the JVM and its watcher."""
    return [
        process
        for process in running_processes()
        if str(folder) in " ".join(command_of(process)) and process.pid != os.getpid()
    ]


def test_what_was_acknowledged_outlives_a_crash(tmp_path: Path) -> None:
    with Kafka.running(tmp_path) as kafka:
        kafka.create_topic("alerts")
        _send(kafka, "alerts", [b"before"])
        servers, cluster_id, first_pid = kafka.bootstrap_servers, kafka.cluster_id, kafka.pid

        kafka.kill()
        assert kafka.pid is None
        kafka.restart()

        assert kafka.pid not in (None, first_pid)
        assert (kafka.bootstrap_servers, kafka.cluster_id) == (servers, cluster_id)
        _send(kafka, "alerts", [b"after"])
        assert _receive(kafka, "alerts", 2) == [b"before", b"after"]
    assert _eventually(lambda: not _processes_of(tmp_path))


def test_the_one_that_runs_in_the_folder_is_taken(tmp_path: Path) -> None:
    with Kafka.running(tmp_path) as kafka:
        again = Kafka.start(tmp_path)
        assert (again.pid, again.bootstrap_servers) == (kafka.pid, kafka.bootstrap_servers)
        found = Kafka.find(tmp_path)
        assert found is not None
        found.stop()
        assert kafka.pid is None
        assert Kafka.find(tmp_path) is None


def test_a_record_of_a_broker_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    with Kafka.running(tmp_path) as kafka:
        pid = kafka.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert _eventually(lambda: Kafka.find(tmp_path) is None)

        again = Kafka.start(tmp_path, die_with_parent=True)
        assert again.pid not in (None, pid)
        again.stop()


@pytest.mark.parametrize("die_with_parent", [True, False])
def test_it_lives_and_dies_with_its_owner_as_told(tmp_path: Path, *, die_with_parent: bool) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(die_with_parent), str(tmp_path / "broker")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    # Ctrl-C goes to the foreground's whole process group: the broker is not in it.
    os.killpg(owner.pid, signal.SIGINT)
    owner.wait()

    if die_with_parent:
        assert _eventually(lambda: not _processes_of(tmp_path))
    else:
        found = Kafka.find(tmp_path / "broker")
        assert found is not None
        admin = AdminClient({"bootstrap.servers": found.bootstrap_servers})
        assert admin.list_topics(timeout=10).cluster_id == found.cluster_id
        found.stop()
        assert not _processes_of(tmp_path)


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(KafkaUnavailable, match=r"kafka\.log(.|\n)*no.such.Authorizer"):
        Kafka.start(tmp_path, properties={"authorizer.class.name": "no.such.Authorizer"})
    assert not _processes_of(tmp_path)


def test_settings_of_broker_and_topic_pass_through(tmp_path: Path) -> None:
    with Kafka.running(tmp_path, properties={"message.max.bytes": "30000000"}) as kafka:
        kafka.create_topic("alerts", partitions=3, retention_ms="1234")
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        assert len(admin.list_topics("alerts").topics["alerts"].partitions) == 3
        resources = [ConfigResource(ResourceType.TOPIC, "alerts")]
        [settings] = [future.result() for future in admin.describe_configs(resources).values()]
        assert settings["retention.ms"].value == "1234"
        assert settings["max.message.bytes"].value == "30000000"


def test_it_listens_on_the_loopback_address_alone(kafka: Kafka) -> None:
    assert kafka.pid is not None
    listening = [
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.Process(kafka.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) == 2
    assert set(listening) == {"127.0.0.1"}


def test_no_topic_appears_because_somebody_asked_for_it(kafka: Kafka, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    assert producer.list_topics(topic, timeout=10).topics[topic].error is not None
    assert topic not in producer.list_topics(timeout=10).topics


def test_a_topic_can_be_made_once_and_removed(kafka: Kafka, topic: str) -> None:
    kafka.create_topic(topic)
    with pytest.raises(FinkrayError, match="already exists"):
        kafka.create_topic(topic)
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
