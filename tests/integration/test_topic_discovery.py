"""Topics are discovered whenever they are created, and read from where the settings say."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from finkray.claim import TopicPartition
from finkray.driver.lanes import PartitionOffsets
from finkray.driver.topic_discovery import DiscoveredPartitions, TopicDiscovery
from finkray.host.ports import free_ports
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.kafka import KafkaSettings
from sim.broker.kafka import Kafka
from tests.support.lane_reading import fill, made
from tests.support.packets import add_partitions

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

Looks = queue.SimpleQueue[DiscoveredPartitions]


@contextmanager
def topic_discovery(settings: KafkaSettings, *, new_archive: bool = True) -> Iterator[Looks]:
    looks = Looks()
    running = TopicDiscovery(settings, new_archive=new_archive, on_discovery=looks.put)
    try:
        yield looks
    finally:
        running.close()


def settings_for(kafka: Kafka, topic: str, start: str = "latest") -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=(f"^{topic}",),
        start=start,
        refresh_s=0.2,
    )


def look_that_finds(looks: Looks) -> dict[TopicPartition, PartitionOffsets]:
    """The new partitions of the first discovery that has any."""
    while not (found := looks.get(timeout=60)).new:
        assert found.trouble == ""
    return dict(found.new)


@pytest.mark.parametrize(
    ("start", "new_archive", "begins"),
    [("latest", True, 6), ("latest", False, 0), ("earliest", True, 0)],
)
def test_only_a_new_archive_starts_where_the_settings_say(
    kafka: Kafka, topic: str, start: str, new_archive: bool, begins: int
) -> None:
    source = made(kafka, topic)
    fill(kafka, source, 6)
    with topic_discovery(settings_for(kafka, topic, start), new_archive=new_archive) as looks:
        assert look_that_finds(looks) == {source: PartitionOffsets(begins, 6)}


def test_a_client_that_gets_no_answer_is_replaced(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a broker that hung: some clients never connect again."""
    source = made(kafka, topic)
    servers = iter([f"127.0.0.1:{free_ports(1)[0]}"])

    class FirstIsLost(KafkaCluster):
        """A client that looks for its brokers where there is none, the first time."""

        def __init__(self, config: dict[str, Any]) -> None:
            first = next(servers, config["bootstrap.servers"])
            super().__init__({**config, "bootstrap.servers": first}, timeout_s=1.0)

    monkeypatch.setattr("finkray.driver.topic_discovery.KafkaCluster", FirstIsLost)
    monkeypatch.setattr("finkray.driver.topic_discovery.RENEW_CLIENT_S", 3.0)
    with topic_discovery(settings_for(kafka, topic)) as looks:
        assert looks.get(timeout=60).error
        while not (found := looks.get(timeout=60)).new:
            assert found.error
        assert source in found.new


def test_topics_created_after_the_first_discovery_are_read_from_their_beginning(
    kafka: Kafka, topic: str
) -> None:
    """Else the first alerts of each night would be lost, were "latest" for all."""
    tonight = made(kafka, topic)
    fill(kafka, tonight, 6)
    with topic_discovery(settings_for(kafka, topic)) as looks:
        assert look_that_finds(looks) == {tonight: PartitionOffsets(6, 6)}
        tomorrow = made(kafka, f"{topic}_tomorrow")
        assert look_that_finds(looks)[tomorrow].start == 0
        add_partitions(kafka.bootstrap_servers, topic, 2)
        added = TopicPartition(tonight.cluster_id, topic, tonight.topic_id, 1)
        assert look_that_finds(looks) == {added: PartitionOffsets(0, 0)}


def test_the_first_topic_of_an_archive_that_found_none_is_read_from_its_beginning(
    kafka: Kafka, topic: str
) -> None:
    with topic_discovery(settings_for(kafka, topic)) as looks:
        assert looks.get(timeout=60).partitions == frozenset()
        first = made(kafka, topic)
        assert look_that_finds(looks)[first].start == 0


class _Stumbling(KafkaSettings):
    """The first discovery fails with an unexpected error."""

    stumbled: list[str] = []  # noqa: RUF012 - pydantic copies it

    def wants(self, topic: str) -> bool:
        if not self.stumbled:
            self.stumbled.append(topic)
            raise ZeroDivisionError("nobody thought of this")
        return super().wants(topic)


def test_a_failed_discovery_is_reported_and_retried(kafka: Kafka, topic: str) -> None:
    source = made(kafka, topic)
    settings = _Stumbling(**settings_for(kafka, topic).model_dump())
    with topic_discovery(settings) as looks:
        first = looks.get(timeout=60)
        assert "nobody thought of this" in first.trouble
        assert look_that_finds(looks) == {source: PartitionOffsets(0, 0)}
