"""A dead letter that was kept in part only is read from Kafka again, if Kafka still has it."""

from pathlib import Path

import pyarrow.dataset as ds
import pytest
from confluent_kafka.admin import AdminClient

from finkray import open_archive
from finkray.audit.audit import audit
from finkray.claim import TopicPartition
from finkray.dead_letters.search import Selection
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.redrive.missing import RedriveResult
from finkray.redrive.resolve import Resolver, ResolveResult
from jobs.commands.audit import audit_now, redrive_now
from sim.broker.kafka import Kafka
from tests.support.avro_cases import container, long, sized
from tests.support.dead_letters import PAIR, Observatory
from tests.support.packets import expire, send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

LIMIT = 4096


def alert(candid: int, size_bytes: int) -> bytes:
    return container(PAIR, long(candid) + sized(b"x" * size_bytes))


VALUES = [alert(0, 10), alert(1, 2 * LIMIT), alert(2, 5 * LIMIT), alert(3, 10), alert(4, 3 * LIMIT)]


def night(folder: Path, kafka: Kafka, topic: str) -> tuple[Observatory, TopicPartition]:
    """Alerts above the limit of their night: 1 kept whole, 2 and 4 in part."""
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, VALUES)
    observatory = Observatory(
        folder,
        dead_letter_bytes=int(2.5 * LIMIT),
        max_message_bytes=LIMIT,
        bootstrap_servers=kafka.bootstrap_servers,
    )
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    observatory.archive(0, VALUES, source=source)
    observatory.max_message_bytes = 4 * LIMIT
    return observatory, source


def redrive(observatory: Observatory) -> ResolveResult:
    ledger = Ledger.take_over(observatory.storage)
    recover(ledger, observatory.storage)
    resolver = Resolver(observatory.settings, observatory.storage, ledger)
    return resolver.resolve(Selection(), lambda _: None)


def delete_all(kafka: Kafka, topic: str) -> None:
    expire(kafka.bootstrap_servers, topic, before=5)


def archived(observatory: Observatory) -> list[int]:
    assert audit(observatory.storage, deep="all").balanced
    table = ds.dataset(observatory.storage.root / "alerts", format="parquet").to_table()
    assert table["candid"].to_pylist() == table["kafka_offset"].to_pylist()
    return sorted(table["kafka_offset"].to_pylist())


def test_what_was_cut_short_is_read_again(tmp_path: Path, kafka: Kafka, topic: str) -> None:
    observatory, _ = night(tmp_path, kafka, topic)
    assert archived(observatory) == [0, 3]
    # 2 is above the new limit too: that is known without asking for it.
    done = redrive(observatory)
    assert (done.tried, done.alerts, dict(done.by_reason), done.cut_short) == (
        3,
        2,
        {"too_large": 1},
        0,
    )
    assert archived(observatory) == [0, 1, 3, 4]
    observatory.max_message_bytes = 8 * LIMIT
    assert redrive(observatory).alerts == 1
    assert archived(observatory) == [0, 1, 2, 3, 4]


def test_what_kafka_has_no_longer_is_said(tmp_path: Path, kafka: Kafka, topic: str) -> None:
    observatory, _ = night(tmp_path, kafka, topic)
    delete_all(kafka, topic)
    done = redrive(observatory)
    assert (done.alerts, done.cut_short, dict(done.by_reason)) == (1, 1, {"too_large": 2})
    assert archived(observatory) == [0, 1, 3]


def test_a_topic_that_was_made_anew_has_other_messages(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    observatory, _ = night(tmp_path, kafka, topic)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_topics([topic]).values():
        future.result(30)
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, [alert(90 + n, 3 * LIMIT) for n in range(5)])
    done = redrive(observatory)
    assert (done.alerts, done.cut_short) == (1, 1)
    assert archived(observatory) == [0, 1, 3]


def vanish(observatory: Observatory, folder: str) -> None:
    (path,) = (observatory.storage.root / folder).rglob("*.parquet")
    path.unlink()


def audited(observatory: Observatory) -> tuple[int, int, int]:
    report = audit_now(observatory.settings, deep="all")
    assert report.balanced == (report.difference == 0)
    return report.archived, report.dead_lettered, report.difference


def test_alerts_of_letters_that_vanish_are_made_again(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    """Of the letters' own bytes, and of Kafka's where these were cut short."""
    observatory, _ = night(tmp_path, kafka, topic)
    redrive(observatory)
    assert audited(observatory) == (4, 1, 0)
    brought_in = [
        observatory.storage.root / one.path
        for one in open_archive(observatory.storage.root).follow(wait_s=0)
        if one.resolved
    ]
    for path in brought_in:
        path.unlink()
    assert audited(observatory) == (2, 1, 2)
    # Two files: what the archive of this test had read has another time than Kafka gives.
    assert redrive_now(observatory.settings, print) == RedriveResult(alerts=2, files=2)
    assert audited(observatory) == (4, 1, 0)
    assert archived(observatory) == [0, 1, 3, 4]

    # Kafka lets go of them: what was kept in part is a dead letter again.
    for path in brought_in:
        path.unlink()
    delete_all(kafka, topic)
    assert redrive_now(observatory.settings, print) == RedriveResult(
        alerts=1, files=1, dead_again=1
    )
    assert audited(observatory) == (3, 2, 0)
    assert archived(observatory) == [0, 1, 3]


def test_letters_that_vanish_do_not_take_along_what_was_brought_in(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    observatory, _ = night(tmp_path, kafka, topic)
    redrive(observatory)
    vanish(observatory, "deadletters")
    assert audited(observatory) == (4, 0, 1)
    assert redrive_now(observatory.settings, print) == RedriveResult(dead_letters=1, files=1)
    assert audited(observatory) == (4, 1, 0)
    observatory.max_message_bytes = 8 * LIMIT
    assert redrive(observatory).alerts == 1
    assert archived(observatory) == [0, 1, 2, 3, 4]
