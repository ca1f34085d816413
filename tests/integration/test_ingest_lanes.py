"""An actor that reads a backlog always has room, and a consumer, for the live stream."""

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finkray.claim import Claim, TopicPartition
from finkray.ingest.actor import IngestActor
from finkray.ingest.budget import Budget
from finkray.ingest.intake import CutLimits
from finkray.ingest.messages import Assignment, ClaimsReceived, IngestReport, ReadyClaim
from finkray.ledger.identity import refuse_if_gone
from finkray.ledger.log import Ledger
from finkray.packets.batch import AlertBatch
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.packets.divide import MAX_FILES
from finkray.packets.table_schemas import TableSchemas
from finkray.settings.packets import PacketSettings
from finkray.storage.local import LocalStorage
from sim.broker.kafka import Kafka
from tests.support.avro_cases import container, long
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

MIB = 2**20
BUDGET = Budget.share(
    held_bytes=16 * MIB,
    actors=1,
    max_message_bytes=MIB,
    limits=CutLimits(claim_bytes=MIB, claim_rows=100, linger_s=0.1),
)
JUNK = b"x" * 100_000
"""Not an alert: it is held as a dead letter, with all its bytes."""


class Actor:
    """An ingest actor without Ray, and the claims that it reported."""

    def __init__(
        self,
        bootstrap_servers: str,
        decoder: Callable[[], Decoder] | None = None,
    ) -> None:
        self.claims: list[ReadyClaim] = []
        self.report: IngestReport | None = None
        self.inner = IngestActor(
            {"bootstrap.servers": bootstrap_servers},
            BUDGET,
            decoder or functools.partial(make_decoder, PacketSettings(), MIB, {}),
            MIB,
            store=_itself,
        )

    def listen_until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 90
        while not done():
            assert time.monotonic() < deadline_s
            self.listen(0.2)

    def listen(self, timeout_s: float) -> int:
        incarnation = self.report.incarnation if self.report else ""
        heard = ClaimsReceived(incarnation, len(self.claims))
        taken, self.report = self.inner.take(timeout_s, heard)
        self.claims += taken
        assert self.report.held_bytes <= BUDGET.limit_bytes
        return len(taken)

    def close(self) -> None:
        self.inner.flush()
        self.listen_until(lambda: self.report is not None and self.report.flushed)

    def of(self, lane: str) -> list[Claim]:
        return [one.claim for one in self.claims if one.lane == lane]


def _itself(batch: AlertBatch) -> AlertBatch:
    return batch


@pytest.fixture
def actor(kafka: Kafka) -> Iterator[Actor]:
    made = Actor(kafka.bootstrap_servers)
    yield made
    made.close()


def test_a_burst_is_read_however_much_a_backfill_holds(
    kafka: Kafka, topic: str, actor: Actor
) -> None:
    kafka.create_topic(topic)
    source = TopicPartition("cluster", topic, "id", 0)
    old = send(kafka.bootstrap_servers, topic, [JUNK] * 300)
    actor.inner.assign([Assignment(source, 0, 1, end_offset=old), Assignment(source, old, 2)])
    # Nobody makes its claims durable, so it fills its part of the room and stops.
    actor.listen_until(lambda: len(actor.of("backfill")) > 2)
    while actor.listen(2.0):
        pass
    stopped_at = actor.of("backfill")[-1].last_offset
    assert stopped_at < old - 1
    assert actor.report is not None
    assert not actor.report.paused

    sent = send(kafka.bootstrap_servers, topic, [JUNK] * 5)
    actor.listen_until(lambda: bool(actor.of("live")))
    actor.listen_until(lambda: actor.of("live")[-1].last_offset == old + sent - 1)
    assert actor.of("backfill")[-1].last_offset == stopped_at

    # What is durable makes room again, and the backfill goes on to its end.
    while actor.of("backfill")[-1].last_offset < old - 1:
        actor.inner.drop(actor.of("backfill"))
        actor.listen(0.5)
    first = 0
    for claim in actor.of("backfill"):
        assert claim.first_offset == first
        first = claim.last_offset + 1
    assert first == old


def test_a_storage_that_is_gone_is_waited_for_and_reported(
    kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    """Below the mount point of a disk that was unmounted nothing is written."""
    archive = LocalStorage(tmp_path / "archive")
    archive_id = Ledger.take_over(archive).archive_id
    identity = tmp_path / "archive" / "identity.json"
    kept = identity.read_bytes()
    identity.unlink()
    guard = functools.partial(refuse_if_gone, archive, archive_id)

    def decoder() -> Decoder:
        tables = TableSchemas(archive, PacketSettings(), before_entry=guard)
        return make_decoder(PacketSettings(), MIB, {}, tables)

    kafka.create_topic(topic)
    fields = [{"name": "candid", "type": "long"}]
    alert = container({"type": "record", "name": "alert", "fields": fields}, long(7))
    sent = send(kafka.bootstrap_servers, topic, [alert] * 3)
    actor = Actor(kafka.bootstrap_servers, decoder)
    actor.inner.assign([Assignment(TopicPartition("cluster", topic, "id", 0), 0, 1)])
    actor.listen_until(lambda: actor.report is not None and bool(actor.report.storage_trouble))
    assert actor.report is not None
    assert "has no identity.json any more" in actor.report.storage_trouble
    assert not (tmp_path / "archive" / "schemas").exists()
    assert actor.claims == []

    identity.write_bytes(kept)
    actor.listen_until(lambda: bool(actor.claims) and not actor.report.storage_trouble)
    assert actor.claims[-1].claim.last_offset == sent - 1
    assert len(archive.files(f"schemas/tables/topic={topic}")) == 1


def test_a_lost_reply_is_sent_again(kafka: Kafka, topic: str, actor: Actor) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, [JUNK] * 3)
    actor.inner.assign([Assignment(TopicPartition("cluster", topic, "id", 0), 0, 1)])
    lost: list[ReadyClaim] = []
    while not lost:
        lost, _ = actor.inner.take(1.0)
    actor.listen_until(lambda: bool(actor.claims) and actor.claims[-1].claim.last_offset == 2)
    assert actor.claims[0] is lost[0]
    assert sum(one.claim.offsets for one in actor.claims) == 3
    assert actor.listen(0.0) == 0


def test_claims_of_a_lost_reply_are_freed_when_their_lane_is_read_again(
    kafka: Kafka, topic: str, actor: Actor
) -> None:
    kafka.create_topic(topic)
    source = TopicPartition("cluster", topic, "id", 0)
    end = send(kafka.bootstrap_servers, topic, [JUNK] * 3)
    held_bytes = []
    for generation in (1, 2):
        actor.inner.assign([Assignment(source, 0, generation, end_offset=end)])
        actor.listen_until(
            lambda generation=generation: any(
                (one.generation, one.claim.last_offset) == (generation, end - 1)
                for one in actor.claims
            )
        )
        assert actor.report is not None
        held_bytes.append(actor.report.held_bytes)
    assert held_bytes[0] == pytest.approx(held_bytes[1], rel=0.1)


RECORD = {
    "type": "record",
    "name": "wide",
    "fields": [{"name": f"x{n}", "type": "boolean"} for n in range(100)],
}


def wide(number: int) -> bytes:
    """A packet of 1001 columns in 5 kB, with a schema of its own."""
    fields = [
        {"name": f"w{number}", "type": "long"},
        {"name": "wide0", "type": RECORD},
        *({"name": f"wide{n}", "type": "wide"} for n in range(1, 10)),
    ]
    return container({"type": "record", "name": "a", "fields": fields}, long(7) + bytes(1000))


@pytest.fixture
def two_topics(kafka: Kafka, topic: str) -> tuple[str, str]:
    """A topic that floods, and one that is calm."""
    names = (f"{topic}-flood", f"{topic}-calm")
    for name in names:
        kafka.create_topic(name)
    return names


def test_a_costly_topic_does_not_hold_up_another_one(
    kafka: Kafka, two_topics: tuple[str, str]
) -> None:
    """Every packet has a schema of its own, as many as the settings allow here."""
    flood, calm = two_topics
    settings = PacketSettings(surveys={"": "any"}, new_schemas_per_h=1000)
    actor = Actor(kafka.bootstrap_servers, functools.partial(make_decoder, settings, MIB, {}))
    sent = send(kafka.bootstrap_servers, flood, [wide(n) for n in range(300)])
    actor.inner.assign(
        [
            Assignment(TopicPartition("cluster", name, "id", 0), 0, number)
            for number, name in enumerate(two_topics)
        ]
    )
    actor.listen_until(lambda: bool(actor.claims))
    send(kafka.bootstrap_servers, calm, [JUNK] * 3)
    decoded_before = len(actor.claims)
    actor.listen_until(lambda: any(one.claim.source.topic == calm for one in actor.claims))
    order = [one.claim.source.topic for one in actor.claims]
    # The rest of the flood is not decoded yet: the calm topic had its turn between two steps.
    assert actor.claims[-1].claim.last_offset < sent - 1
    assert order.index(calm) - decoded_before < 8
    actor.listen_until(lambda: covers(actor, flood, sent))
    assert all(one.write_cost <= MAX_FILES for one in actor.claims)
    actor.close()


def test_a_topic_that_floods_leaves_room_for_another_one(
    kafka: Kafka, two_topics: tuple[str, str], actor: Actor
) -> None:
    """Nobody makes its claims durable, so it fills its share and waits."""
    flood, calm = two_topics
    sent = send(kafka.bootstrap_servers, flood, [JUNK] * 300)
    actor.inner.assign(
        [
            Assignment(TopicPartition("cluster", name, "id", 0), 0, number)
            for number, name in enumerate(two_topics)
        ]
    )
    actor.listen_until(lambda: bool(actor.claims))
    while actor.listen(2.0):
        pass
    assert not covers(actor, flood, sent)
    send(kafka.bootstrap_servers, calm, [JUNK] * 5)
    actor.listen_until(lambda: covers(actor, calm, 5))
    assert actor.report is not None
    assert actor.report.paused  # for the topic that floods

    # What is durable makes room, and the flood is read to its end.
    while not covers(actor, flood, sent):
        actor.inner.drop([one.claim for one in actor.claims])
        actor.listen(0.5)


def covers(actor: Actor, topic: str, end: int) -> bool:
    """Whether the claims of a topic cover it to before this offset; they must follow each other."""
    first = 0
    for one in actor.claims:
        if one.claim.source.topic == topic:
            assert one.claim.first_offset == first
            first = one.claim.last_offset + 1
    return first == end


def test_messages_of_many_days_are_several_claims(kafka: Kafka, topic: str, actor: Actor) -> None:
    """Of 100 rows as ever, but for the files that they would become: dead letters one each day."""
    kafka.create_topic(topic)
    source = TopicPartition("cluster", topic, "id", 0)
    days = {"timestamp_ms": 1_000_000_000_000, "step_ms": 86_400_000}
    assert send(kafka.bootstrap_servers, topic, [b"no alert"] * 100, **days) == 100
    actor.inner.assign([Assignment(source, 0, 1)])

    actor.listen_until(lambda: bool(actor.of("live")) and actor.of("live")[-1].last_offset == 99)

    assert max(claim.offsets for claim in actor.of("live")) <= MAX_FILES
    first = 0
    for one in actor.claims:
        assert one.claim.first_offset == first
        assert len(one.kafka_s) == len(one.polled_s) == one.claim.offsets
        assert one.raw_bytes == one.claim.offsets * len(b"no alert")
        assert actor.inner.locate(one.claim).dead_letters.num_rows == one.claim.offsets
        first = one.claim.last_offset + 1
