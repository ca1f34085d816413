"""A lane reader on a real Kafka, and the claims that it cut."""

import functools
import time
from collections.abc import Callable

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.intake import CutClaim, CutLimits
from finkray.ingest.lane import PolledMessage
from finkray.ingest.lane_reader import LaneReader
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import PartitionConsumer, assigned_consumer
from sim.broker.kafka import Kafka
from tests.support.archiving import wait_until
from tests.support.packets import send

LIMITS = CutLimits(claim_bytes=10**6, claim_rows=4, linger_s=0.1)


class Lanes:
    """A lane reader, and the claims that it cut."""

    def __init__(
        self,
        bootstrap_servers: str,
        make_consumer: Callable[[], PartitionConsumer] | None = None,
    ) -> None:
        config = {"bootstrap.servers": bootstrap_servers}
        self.cuts: list[CutClaim[PolledMessage]] = []
        self.reader = LaneReader(
            make_consumer
            or functools.partial(
                assigned_consumer, config, queue_bytes=2**20, max_message_bytes=2**20
            ),
            KafkaCluster(config),
            LIMITS,
            lambda _, cut: self.cuts.append(cut),
        )

    def read_until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 400
        while not done():
            assert time.monotonic() < deadline_s
            self.reader.read(100, 0.05)
            self.reader.cut_due()

    def read_for(self, seconds: float) -> None:
        ends_s = time.monotonic() + seconds
        self.read_until(lambda: time.monotonic() >= ends_s)

    def read_to_the_end(self) -> None:
        self.read_until(lambda: not self.reader.active)

    @property
    def offsets(self) -> list[int]:
        return [message.offset for cut in self.cuts for message in cut.messages]

    @property
    def gaps(self) -> list[Gap]:
        return [gap for cut in self.cuts for gap in cut.gaps]

    def assert_covered(self, source: TopicPartition, first: int, end: int) -> None:
        """Check that every offset is in one claim, and that the claims follow each other."""
        for cut in self.cuts:
            assert cut.claim == Claim(source, first, cut.claim.last_offset)
            first = cut.claim.last_offset + 1
        assert first == end


def made(kafka: Kafka, topic: str) -> TopicPartition:
    """Make a topic and return its only partition."""
    kafka.create_topic(topic)
    return now_there(kafka, topic)


def now_there(kafka: Kafka, topic: str) -> TopicPartition:
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    wait_until("the topic is there", lambda: cluster.topic_ids([topic]))
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    return source


def fill(kafka: Kafka, source: TopicPartition, messages: int) -> None:
    send(kafka.bootstrap_servers, source.topic, [b"alert"] * messages)
