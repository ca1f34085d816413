"""What passes a filter is in its topic once, and what cannot be sent is counted."""

import io
import json
from datetime import timedelta
from typing import Any

import fastavro
import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from finkray.avro.frame import read_schema_id
from finkray.errors import (
    FilterError,
    KafkaUnavailable,
    ProducerFenced,
    SchemaError,
    SchemaUnavailable,
    SettingsError,
)
from finkray.kafka.topics import partition_count
from finkray.kafka.transactions import TransactionalProducer
from finkray.ledger.follow import new_files
from finkray.ledger.read import read_entries
from finkray.settings.model import load
from finkray.streamout.balance import balances
from finkray.streamout.engine import Streamout
from finkray.streamout.figures import WINDOW_S
from finkray.streamout.group_lag import group_lags
from finkray.streamout.published import FilterStore
from finkray.streamout.sender import read_out_ledger
from finkray.streamout.wire import Wire, partition_of
from jobs.commands.audit import filter_balances
from tests.support.archiving import wait_until
from tests.support.registry import Registry
from tests.support.small_archives import NIGHT
from tests.support.streaming_out import BRIGHT, OutStream, run_to_end

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


def commit_begin(config: dict[str, Any], group: str, topic: str) -> None:
    """Let a consumer group commit the beginning of a topic."""
    consumer = Consumer({**config, "group.id": group})
    partitions = range(partition_count(config, topic) or 0)
    offsets = [KafkaPartition(topic, partition, 0) for partition in partitions]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def test_what_passes_is_sent_once_with_where_it_came_from(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    out.publish("bright", BRIGHT)
    out.publish("faint", 'sql = "magpsf >= 18"', "full", Wire.FINK, suffix="toml")
    run_to_end(engine)
    out.archive.put("ztf", packets)
    out.archive.put("ztf", packets)
    run_to_end(engine)

    alerts = out.alerts(out.topic("bright"))
    faint = list(out.messages(out.topic("faint")))
    assert len(alerts) + len(faint) == 2 * len(packets), "published after the first 20"
    assert all(alert["candidate"]["magpsf"] < 18 for alert in alerts)
    assert set(alerts[0]) == {"objectId", "candid", "candidate", "finkray"}
    assert set(out.sources(out.topic("bright")).values()) == {1}
    upstream: dict[int, list[int]] = {}
    for partition, key, value in out.messages(out.topic("bright")):
        alert = out.read(value)
        assert key.decode() == alert["objectId"]
        assert partition == partition_of(key, out.settings.partitions)
        upstream.setdefault(partition, []).append(alert["finkray"]["offset"])
    assert all(offsets == sorted(offsets) for offsets in upstream.values())
    assert {key[:1] for _, key, _ in faint} == {b"{"}
    done = read_out_ledger(out.config, out.settings.instance)
    progress = done.progress
    assert {each.difference for each in progress.values()} == {0}
    assert progress["bright"].alerts == 2 * len(packets)
    assert progress["bright"].sent == len(alerts)
    assert progress["faint"].sent == len(faint)
    bright, _ = engine.statuses()
    assert (bright.sent, bright.behind_s, bright.fault) == (len(alerts), 0, "")
    assert bright.pass_rate == len(alerts) / (2 * len(packets))
    assert bright.sent_per_s == len(alerts) / WINDOW_S
    assert 0 < bright.latency_p50_s <= bright.latency_p95_s < 60
    topic = out.topic("bright")
    commit_begin(out.config, "late-reader", topic)
    (lag,) = group_lags(out.config, {topic})
    assert (lag.group, lag.topic) == ("late-reader", topic)
    assert lag.lag > len(alerts), "commit markers count too"
    filters = FilterStore(out.archive.storage).all()
    audited = filter_balances(load(out.settings_file()))
    assert [(each.name, each.problem) for each in audited] == [("bright", ""), ("faint", "")]
    progress["bright"].passed += 1
    (problem,) = (each.problem for each in balances(out.archive.storage, filters, done)[:1])
    assert problem == "2 alerts are not accounted for"


def test_a_registry_has_the_schemas_and_confluents_reader_finds_them_there(
    out: OutStream, registry: Registry, packets: list[bytes]
) -> None:
    out.settings = out.settings.model_copy(update={"registry_url": registry.url})
    out.publish("bright", BRIGHT)
    out.publish("faint", 'sql = "magpsf >= 18"', "lite", Wire.FINK, suffix="toml")
    out.archive.put("ztf", packets)
    engine = Streamout(out.archive.storage, out.config, out.settings)
    registry.broken = True
    try:
        with pytest.raises(SchemaUnavailable, match="answered with an error"):
            run_to_end(engine)
        assert not list(out.messages(out.topic("bright")))
        registry.broken = False
        run_to_end(engine)
    finally:
        engine.close()
    topic = out.topic("bright")
    assert list(registry.subjects) == [(f"{topic}-value", 1)], "fink's form has its schema with it"
    values = [value for _, _, value in out.messages(topic)]
    assert {read_schema_id(value) for value in values} == set(registry.schemas) == {1}
    read = AvroDeserializer(SchemaRegistryClient({"url": registry.url}))
    about = SerializationContext(topic, MessageField.VALUE)
    assert [read(value, about) for value in values] == [out.read(value) for value in values]
    assert set(out.sources(topic).values()) == {1}
    other = {"type": "record", "name": "alert", "fields": [{"name": "objectId", "type": "int"}]}
    registry.subjects[f"{out.topic('taken')}-value", 1] = {"schema": json.dumps(other)}
    with pytest.raises(SchemaError, match=r"the registry .* takes it for incompatible"):
        out.publish("taken", BRIGHT.replace("bright", "taken"))


def test_the_later_process_goes_on_and_the_older_one_ends(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    out.publish("bright", BRIGHT)
    out.archive.put("ztf", packets)
    run_to_end(engine)
    later = Streamout(out.archive.storage, out.config, out.settings)
    try:
        out.archive.put("ztf", packets)
        with pytest.raises(ProducerFenced):
            engine.step()
        run_to_end(later)
    finally:
        later.close()
    sources = out.sources(out.topic("bright"))
    assert set(sources.values()) == {1}
    assert len(sources) == later.progress["bright"].sent


def test_a_process_whose_transaction_failed_goes_on_and_does_not_fence_a_newer_one(
    out: OutStream, engine: Streamout, packets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out.publish("bright", BRIGHT)
    out.archive.put("ztf", packets)

    def fail(_: TransactionalProducer) -> None:
        raise KafkaUnavailable("not delivered")

    with monkeypatch.context() as patch:
        patch.setattr(TransactionalProducer, "commit", fail)
        with pytest.raises(KafkaUnavailable):
            run_to_end(engine)
    run_to_end(engine)
    assert engine.progress["bright"].alerts == len(packets), "it goes on by itself"
    out.archive.put("ztf", packets)
    with monkeypatch.context() as patch:
        patch.setattr(TransactionalProducer, "commit", fail)
        with pytest.raises(KafkaUnavailable):
            run_to_end(engine)
    later = Streamout(out.archive.storage, out.config, out.settings)
    try:
        with pytest.raises(ProducerFenced, match="a newer process sends"):
            engine.step()
        run_to_end(later)
    finally:
        later.close()
    sources = out.sources(out.topic("bright"))
    assert set(sources.values()) == {1}
    assert len(sources) == later.progress["bright"].sent > 0


def test_a_filter_that_fails_stays_behind_alone_and_catches_up_when_it_is_mended(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    out.publish("bright", BRIGHT)
    out.publish("broken", "def broken(magpsf):\n    import os; os._exit(1)\n")
    out.archive.put("ztf", packets)
    run_to_end(engine)
    assert engine.progress["bright"].alerts == len(packets)
    assert "its process ended" in engine.faults()["broken"]
    assert engine.progress["broken"].alerts == 0
    known = read_out_ledger(out.config, out.settings.instance).progress
    assert "its process ended" in known["broken"].fault
    assert known["bright"].fault == ""
    out.publish("broken", BRIGHT.replace("bright", "broken"))
    wait_until(
        "the mended filter to catch up",
        lambda: engine.step() and engine.progress["broken"].alerts == len(packets),
    )
    assert out.sources(out.topic("broken")) == out.sources(out.topic("bright"))


def test_an_alert_that_ends_a_filter_is_left_out_of_a_batch_of_several_files(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    """The alerts of the files before it are out at once, those behind when it has been found."""
    files = [packets[:40], packets[40:80], packets[80:]]
    deadly = next(fastavro.reader(io.BytesIO(files[1][7])))["candid"]
    out.publish(
        "deadly",
        "import os\n"
        "def deadly(candid, magpsf):\n"
        f"    return os._exit(1) if {deadly} in candid else magpsf < 18\n",
    )
    out.publish("bright", BRIGHT)
    for each in files:
        out.archive.put("ztf", each)
    engine.step()
    assert engine.progress["bright"].alerts == len(packets)
    assert engine.progress["deadly"].alerts == 0, "the batch has the alerts of all files"
    wait_until(
        "the alert to be found",
        lambda: engine.step() and engine.progress["deadly"].alerts == len(packets),
    )
    progress = engine.progress["deadly"]
    assert progress.not_judged == {"died: its process ended": 1}
    (named,) = progress.named["died: its process ended"]
    assert named.endswith(" row 7")
    sent = out.sources(out.topic("deadly"))
    assert set(sent.values()) == {1}
    assert len(sent) == progress.sent >= engine.progress["bright"].sent - 1
    assert not progress.difference


def test_a_message_that_is_too_large_is_counted_and_named(
    out: OutStream, packets: list[bytes]
) -> None:
    settings = out.settings.model_copy(update={"max_message_bytes": 30_000})
    out.publish("whole", BRIGHT.replace("bright", "whole"), "cutouts")
    out.publish("lite", BRIGHT.replace("bright", "lite"))
    out.archive.put("ztf", packets)
    engine = Streamout(out.archive.storage, out.config, settings)
    try:
        run_to_end(engine)
    finally:
        engine.close()
    progress = engine.progress["whole"]
    assert progress.refused["larger than the topic takes"] > 0
    assert progress.named["larger than the topic takes"][0].startswith("ztf[0]@")
    assert progress.difference == 0
    assert engine.progress["lite"].refused.total() == 0


def test_what_is_over_the_quota_of_an_hour_is_counted_and_balances(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    everything = "def everything(magpsf):\n    return magpsf < 99\n"
    out.publish("everything", everything, quota_per_h=50)
    out.publish("bright", BRIGHT)
    out.archive.put("ztf", packets[:40])
    run_to_end(engine)
    later = Streamout(out.archive.storage, out.config, out.settings)
    try:
        out.archive.put("ztf", packets[:100])
        out.archive.put("ztf", packets[100:])  # of both the messages are made together
        run_to_end(later)
        out.archive.put("ztf", packets[:30], NIGHT + timedelta(hours=1))
        run_to_end(later)
    finally:
        later.close()
    done = read_out_ledger(out.config, out.settings.instance)
    progress, bright = done.progress["everything"], done.progress["bright"]
    assert (progress.passed, progress.sent) == (275, 50 + 30), "a new hour has a quota of its own"
    assert progress.refused == {"over its quota of 50 alerts an hour": 195}
    assert not progress.difference + bright.refused.total()
    assert len(out.sources(out.topic("everything"))) == progress.sent
    filters = FilterStore(out.archive.storage).all()
    assert {each.problem for each in balances(out.archive.storage, filters, done)} == {""}


def test_a_file_that_is_missing_is_remembered_and_the_balance_holds(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    out.publish("bright", BRIGHT)
    out.archive.put("ztf", packets[:10])
    (lost,) = new_files(list(read_entries(out.archive.storage))[-1])
    out.archive.storage.delete([lost[1].path])
    out.archive.put("ztf", packets[10:30])
    run_to_end(engine)
    progress = engine.progress["bright"]
    assert progress.alerts == 20
    assert [name.partition("/")[2] for name in progress.missing] == [str(lost[0])]
    filters = FilterStore(out.archive.storage).all()
    done = read_out_ledger(out.config, out.settings.instance)
    (balance,) = balances(out.archive.storage, filters, done)
    assert (balance.expected, balance.problem) == (20, "")


def test_paused_filters_go_on_where_they_were_and_retired_ones_do_not(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    store = FilterStore(out.archive.storage)
    for name in ("paused", "retired"):
        out.publish(name, BRIGHT.replace("bright", name))
    store.set_state("paused", "paused")
    store.set_state("retired", "retired")
    out.archive.put("ztf", packets)
    run_to_end(engine)
    assert {each.alerts for each in engine.progress.values()} == {0}
    store.set_state("paused", "active")
    run_to_end(engine)
    assert engine.progress["paused"].alerts == len(packets)
    with pytest.raises(FilterError, match="retired is retired: publish it under another name"):
        store.set_state("retired", "active")


def test_what_cannot_work_is_refused_when_it_is_published(
    out: OutStream, packets: list[bytes]
) -> None:
    with pytest.raises(FilterError, match="reads magpf, which no alert has; there is"):
        out.publish("typo", "def typo(magpf):\n    return magpf < 18\n")
    with pytest.raises(SettingsError, match="no field candidat; they have"):
        out.publish("other", BRIGHT.replace("bright", "other"), "candidat")
    out.publish("bright", BRIGHT, "objectId,candid")
    engine = Streamout(out.archive.storage, out.config, out.settings)
    try:
        out.archive.put("ztf", packets)
        run_to_end(engine)
    finally:
        engine.close()
    with pytest.raises(SchemaError, match="candidate would be new, without a default"):
        out.publish("bright", BRIGHT, "lite")
