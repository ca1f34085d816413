"""Streaming out on a real Kafka: each alert that passes is in its topic once, whatever happens."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
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
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.balance import balances
from finkray.streamout.engine import Streamout
from finkray.streamout.figures import WINDOW_S
from finkray.streamout.filter_process import FilterPool, limits_of
from finkray.streamout.group_lag import group_lags
from finkray.streamout.published import FilterStore
from finkray.streamout.sender import read_out_ledger
from finkray.streamout.wire import Wire, partition_of
from jobs.commands.audit import filter_balances
from sim.broker.kafka import Kafka
from tests.support.archiving import wait_until
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive
from tests.support.registry import Registry
from tests.support.services import Double
from tests.support.serving import serve
from tests.support.small_archives import NIGHT
from tests.support.streaming_out import BRIGHT, OutStream, source_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

EVEN = 'NEEDS = ["double"]\ndef even(double__double):\n    return double__double % 4 == 0\n'

KILLS = int(os.environ.get("FINKRAY_STREAMOUT_KILLS", "4"))
ZOMBIES = int(os.environ.get("FINKRAY_STREAMOUT_ZOMBIES", "2"))

MOST_SLEEPING = 2
"""Processes that sleep at a time: each keeps its memory."""


@pytest.fixture(scope="module")
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "20180626_skyportal_205"))


@pytest.fixture(scope="module")
def pool() -> Iterator[FilterPool]:
    with FilterPool(limits_of(StreamoutSettings())) as made:
        yield made


@pytest.fixture
def out(
    kafka: Kafka,
    topic: str,
    tmp_path: Path,
    test_data: Path,
    packets: list[bytes],
    pool: FilterPool,
) -> OutStream:
    archive = RealArchive(tmp_path / "archive", test_data)
    archive.put("ztf", packets[:20])
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    instance = re.sub(r"[^a-z0-9_-]", "", topic.lower())[-40:]
    settings = StreamoutSettings(instance=f"t{instance}", needs_s=2.0, breaker_rest_s=0.5)
    return OutStream(archive, tmp_path, config, settings, pool)


@pytest.fixture
def engine(out: OutStream) -> Iterator[Streamout]:
    made = Streamout(out.archive.storage, out.config, out.settings)
    yield made
    made.close()


def commit_begin(config: dict[str, Any], group: str, topic: str) -> None:
    """Let a consumer group commit the beginning of a topic."""
    consumer = Consumer({**config, "group.id": group})
    partitions = range(partition_count(config, topic) or 0)
    offsets = [KafkaPartition(topic, partition, 0) for partition in partitions]
    consumer.commit(offsets=offsets, asynchronous=False)
    consumer.close()


def run_to_end(engine: Streamout) -> None:
    while engine.step():
        pass


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
    audited = filter_balances(load(settings_file(out)))
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


def test_results_of_services_are_waited_for_and_sent_with_status_and_version(
    out: OutStream, packets: list[bytes]
) -> None:
    serve(out.archive, service=Double(), into="double")
    out.publish("even", EVEN)
    out.archive.put("ztf", packets)
    settings = out.settings.model_copy(update={"needs_s": 3600.0})
    with closing(Streamout(out.archive.storage, out.config, settings)) as patient:
        run_to_end(patient)
        assert patient.progress["even"].alerts == 0, "it waits"
        serve(out.archive, service=Double(), into="double")
        run_to_end(patient)
        passed = patient.progress["even"].passed
    alerts = out.alerts(out.topic("even"))
    assert len(alerts) == passed == 103
    for alert in alerts:
        answer = alert["finkray"]["services"]["double"]
        assert answer["double"] == 2 * alert["finkray"]["offset"]
        assert (answer["status"], answer["version"]) == ("ok", "1")
    out.archive.put("ztf", packets[:10])
    with closing(Streamout(out.archive.storage, out.config, out.settings)) as engine:
        wait_until(
            "the end of waiting", lambda: engine.step() or engine.progress["even"].not_judged
        )
        assert engine.progress["even"].not_judged == {"needs double": 10}

        serve(out.archive, service=Double(), into="double")

        def judged_late() -> int:
            run_to_end(engine)  # on a busy machine the filter may rest meanwhile
            return engine.progress["even"].judged_late

        wait_until("they are judged late", judged_late)
    done = read_out_ledger(out.config, out.settings.instance)
    late = done.progress["even"]
    assert (late.judged_late, late.not_judged, len(done.late)) == (10, {}, 0)
    assert not out.alerts(out.topic("even"), "amendment"), "nothing was sent of them before"
    assert len(out.sources(out.topic("even"))) == late.passed > 103
    assert not late.difference


def test_what_a_service_answers_after_an_alert_was_sent_follows_in_an_amendment(
    out: OutStream, engine: Streamout, packets: list[bytes]
) -> None:
    serve(out.archive, service=Double(), into="double")
    out.publish("bright", 'SENDS = ["double"]\n' + BRIGHT)
    out.publish("gone", 'SENDS = ["double"]\n' + BRIGHT.replace("bright", "gone"))
    out.archive.put("ztf", packets)
    run_to_end(engine)
    first = out.alerts(out.topic("bright"))
    assert {alert["finkray"]["services"]["double"] for alert in first} == {None}
    done = read_out_ledger(out.config, out.settings.instance)
    assert done.progress["bright"].awaiting == len(first) > 0
    filters = FilterStore(out.archive.storage).all()
    assert {each.problem for each in balances(out.archive.storage, filters, done)} == {""}
    done.progress["bright"].incomplete += 1
    done.progress["bright"].awaiting += 1
    (problem,) = [each.problem for each in balances(out.archive.storage, filters, done)[:1]]
    assert problem == "1 alerts that await answers are not accounted for"
    FilterStore(out.archive.storage).set_state("gone", "retired")

    serve(out.archive, service=Double(), into="double")
    later = Streamout(out.archive.storage, out.config, out.settings)
    try:
        run_to_end(later)
        run_to_end(later)
    finally:
        later.close()
    amendments = out.alerts(out.topic("bright"), "amendment")
    assert out.alerts(out.topic("bright")) == first
    assert len(amendments) == len(first)
    place = {alert["finkray"]["offset"]: alert for alert in first}
    for amendment in amendments:
        about = amendment["finkray"]
        assert about["services"]["double"]["double"] == 2 * about["offset"]
        assert amendment["candidate"] == place[about["offset"]]["candidate"]
    done = read_out_ledger(out.config, out.settings.instance)
    bright, gone = done.progress["bright"], done.progress["gone"]
    assert (bright.completed, bright.awaiting, bright.amendments) == (len(first), 0, len(first))
    assert (gone.lapsed, gone.amendments, len(done.late)) == (len(first), 0, 0)
    assert not bright.difference + gone.difference


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


def settings_file(out: OutStream) -> Path:
    path = out.folder / "finkray.toml"
    path.write_text(
        f'[kafka]\nbootstrap_servers = "{out.config["bootstrap.servers"]}"\n'
        f'[archive]\nuri = "{out.archive.storage.uri}"\n'
        f'[streamout]\ninstance = "{out.settings.instance}"\nneeds_s = 0.1\n'
    )
    return path


def wake(sleeping: list[subprocess.Popen[bytes]]) -> None:
    """Let processes go on whose successor has begun: each must end by itself."""
    for zombie in sleeping:
        os.kill(zombie.pid, signal.SIGCONT)
    for zombie in sleeping:
        assert zombie.wait(120) != 0, "a newer process has its name"
    sleeping.clear()


@pytest.mark.timeout(300 + 60 * (KILLS + ZOMBIES))
def test_killed_at_random_it_sends_each_alert_once(out: OutStream, packets: list[bytes]) -> None:
    """Some processes are stopped instead: they sleep, and wake after a successor began.

    A service answers before, during and after, so that amendments and late judging are killed too.
    """
    serve(out.archive, service=Double(), into="double")
    out.publish("bright", 'SENDS = ["double"]\n' + BRIGHT)
    out.publish("even", EVEN)
    out.publish("full", 'sql = "magpsf < 19"', "full", suffix="toml")
    command = [sys.executable, "-m", "jobs.daemons.streamout", "-c", str(settings_file(out))]
    environment = {**os.environ, "FINKRAY_STATE": str(out.folder)}
    rng = random.Random(7)
    sleeping: list[subprocess.Popen[bytes]] = []
    log = (out.folder / "log").open("wb")
    process = None
    try:
        for kill in range(KILLS + ZOMBIES):
            sleeps = kill % ((KILLS + ZOMBIES) // ZOMBIES) == 1
            process = subprocess.Popen(
                [*command, "--unsupervised"], env=environment, stdout=log, stderr=log
            )
            out.archive.put("ztf", packets)
            looked = out.folder / "streamout.json"
            looked.unlink(missing_ok=True)
            if sleeps or kill % 3 == 0:  # it has begun: a sleeper must not be the newest
                wait_until("a first look", looked.exists)
                if len(sleeping) >= MOST_SLEEPING:
                    wake(sleeping)
                time.sleep(rng.uniform(0.0, 0.5))
            else:
                time.sleep(rng.uniform(0.5, 3.0))
            if rng.random() < 0.7:
                serve(out.archive, service=Double(), into="double")
                time.sleep(rng.uniform(0.0, 1.0))
            if sleeps:
                os.kill(process.pid, signal.SIGSTOP)
                sleeping.append(process)
            else:
                process.kill()
                process.wait()
        engine = Streamout(out.archive.storage, out.config, out.settings)
        try:
            run_to_end(engine)
            out.archive.put("ztf", packets)
            wake(sleeping)
            serve(out.archive, service=Double(), into="double")
            run_to_end(engine)
        finally:
            engine.close()
    finally:
        log.close()
        for each in [*sleeping, *([process] if process else [])]:
            each.kill()
            each.wait()
    done = read_out_ledger(out.config, out.settings.instance)
    assert len(done.late) == 0
    filters = FilterStore(out.archive.storage).all()
    assert {each.problem for each in balances(out.archive.storage, filters, done)} == {""}
    amended = out.sources(out.topic("bright"), "amendment")
    without = Counter(
        source_of(alert)
        for alert in out.alerts(out.topic("bright"))
        if alert["finkray"]["services"]["double"] is None
    )
    assert amended == without
    bright, even = done.progress["bright"], done.progress["even"]
    assert bright.incomplete == bright.amendments == len(amended) > 0
    assert even.judged_late > 0
    assert not even.not_judged
    for name in ("bright", "even", "full"):
        sources = out.sources(out.topic(name))
        progress = done.progress[name]
        assert set(sources.values()) == {1}
        assert progress.alerts == (KILLS + ZOMBIES + 1) * len(packets)
        assert progress.sent == len(sources) > 0
        assert progress.difference == 0
