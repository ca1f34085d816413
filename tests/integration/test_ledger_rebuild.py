"""What docs/operations.md says about a lost ledger, done as it stands there, on a real Kafka."""

import os
import shlex
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from confluent_kafka import Producer

from finkray.audit.audit import audit
from finkray.claim import Claim, TopicPartition
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.packets.batch import make_batch
from finkray.packets.decoder import make_decoder
from finkray.packets.write_claim import write_claim
from finkray.redrive.reread import Rereader
from jobs.commands.audit import redrive_now
from jobs.commands.rebuild import rebuild_now
from sim.broker.kafka import Kafka
from tests.support import commands
from tests.support.avro_cases import container, long, sized
from tests.support.dead_letters import PAIR, Observatory
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
VALUES = [container(PAIR, long(n) + sized(b"x")) for n in range(30)]


def steps() -> list[list[str]]:
    """Return the commands of the section, without those that need Ray."""
    block = PAGE.read_text().split("<!-- test: rebuild -->\n```sh\n")[1].split("```")[0]
    words = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [each[1] for each in words] == ["stop", "ledger", "ledger", "audit", "audit", "start"]
    return [each[1:] for each in words if each[1] not in ("stop", "start")]


def observatory_of(folder: Path, kafka: Kafka, topic: str) -> tuple[Observatory, TopicPartition]:
    observatory = Observatory(folder, bootstrap_servers=kafka.bootstrap_servers)
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    return observatory, source


def night(folder: Path, kafka: Kafka, topic: str) -> tuple[Observatory, TopicPartition]:
    """Three claims, with a message that does not decode."""
    values = [*VALUES[:14], b"poison", *VALUES[15:]]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, values)
    observatory, source = observatory_of(folder, kafka, topic)
    for first in (0, 10, 20):
        observatory.archive(first, values[first : first + 10], source=source)
    return observatory, source


def test_a_lost_ledger_comes_back_and_kafka_fills_the_rest(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    """The ledger is gone, and so is the file of one claim."""
    observatory, _ = night(tmp_path, kafka, topic)
    storage = observatory.storage
    assert audit(storage, deep="all").balanced
    storage.delete_folder("ledger")
    gone = [file.path for file in storage.walk("alerts") if f"-{10:020d}-" in file.path]
    assert len(gone) == 1
    storage.delete(gone)
    environment = {**os.environ, "FINKRAY_STATE": str(tmp_path / "state")}
    for words in steps():
        done = commands.finkray(
            *words, "-c", str(observatory.config), folder=tmp_path, environment=environment
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        if words == ["ledger", "rebuild"]:
            assert "claims come from files" in done.stdout
            assert "offsets are in no file" in done.stdout
    report = audit(storage, deep="all")
    assert report.balanced
    assert (report.archived, report.dead_lettered, report.expired) == (29, 1, 0)
    table = ds.dataset(storage.root / "alerts", format="parquet").to_table()
    assert sorted(table["candid"].to_pylist()) == [n for n in range(30) if n != 14]


def test_offsets_that_never_had_a_message_are_no_loss(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    """The marker of a transaction is between the alerts of one file, of which no file tells."""
    kafka.create_topic(topic)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic})
    producer.init_transactions()
    for values in (VALUES[:5], VALUES[6:10]):
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        producer.commit_transaction()
    observatory, source = observatory_of(tmp_path, kafka, topic)
    storage, settings = observatory.storage, observatory.settings
    decoder = make_decoder(settings.packets, int(settings.kafka.max_message_bytes), {})
    ledger = Ledger.take_over(storage)
    for cut in Rereader(settings).cuts(Claim(source, 0, 9)):
        batch = make_batch(cut.claim, cut.messages, cut.gaps, decoder)
        commit(ledger, storage, [write_claim(batch, storage, ledger.staging, "test")])
    before = audit(storage, deep="all")
    assert (before.archived, before.not_delivered, before.expired) == (9, 1, 0)
    storage.delete_folder("ledger")
    assert rebuild_now(settings, lambda _: None).in_no_file == 1
    redrive_now(settings, lambda _: None)
    after = audit(storage, deep="all")
    assert after.balanced
    assert (after.archived, after.not_delivered, after.expired) == (9, 1, 0)
