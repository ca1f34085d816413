"""A Kafka as sites have it: TLS, logins, few rights; what lets one in, what is said if not."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from finkray.avro.frame import write_frame
from finkray.errors import SettingsError
from finkray.host.java import find_java
from finkray.ingest.intake import CutLimits
from finkray.ingest.lane_reader import LaneReader
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import assigned_consumer
from finkray.settings.kafka import KafkaSettings
from finkray.settings.model import Settings, load
from finkray.streamout.subscribers import Subscribers
from finkray.streamout.topics import FIRST_ID, schemas_topic
from jobs.commands.checks import kafka_checks
from jobs.commands.consume import consume_now
from sim.broker.jars import kafka_jars
from sim.broker.read_only import allow_reading
from tests.support.archiving import wait_until
from tests.support.packets import send
from tests.support.site_kafka import USER, SiteKafka, site_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "kafka.md"
SUBSCRIBE = PAGE.with_name("subscribe.md")

INSTANCE = Settings().streamout.instance


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteKafka]:
    with site_kafka(tmp_path_factory.mktemp("site")) as running:
        yield running


def answers(site: SiteKafka, **changes: Any) -> list[tuple[bool, str]]:
    checks = kafka_checks(KafkaSettings(**site.settings(**changes)))
    return [(check.ok, check.detail) for check in checks]


def test_a_login_with_a_right_to_read_is_all_that_it_takes(site: SiteKafka, topic: str) -> None:
    site.broker.create_topic(topic)
    ((connected, _), (found, why)) = answers(site, topics=[topic])
    assert (connected, found) == (True, False), "a topic without rights is not to be seen"
    assert topic in why
    allow_reading(site.broker.bootstrap_servers, USER, topic)
    assert [ok for ok, _ in answers(site, topics=[topic])] == [True, True]


def test_a_password_may_stand_in_a_file(site: SiteKafka, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(site.password + "\n")
    ((connected, why), *_) = answers(site, sasl_password="", sasl_password_file=str(file))
    assert connected, why


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sasl_password": "guessed"}, "the login is refused: are kafka.sasl_username"),
        ({"sasl_username": "somebody"}, "the login is refused: are kafka.sasl_username"),
        ({"options": {}}, "does kafka.options name the brokers' authority"),
        ({"options": {"security.protocol": "PLAINTEXT"}}, 'does "security.protocol" not fit'),
        ({"options": {"ssl.ca.location": "/none.pem"}}, r"kafka\.options: .*ssl\.ca\.location"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    site: SiteKafka, changes: dict[str, Any], what: str
) -> None:
    ((connected, why),) = answers(site, **changes)
    assert not connected
    assert re.search(what, why), why
    assert site.password not in why


def test_no_right_on_a_group_is_needed_to_read(site: SiteKafka, topic: str) -> None:
    site.broker.create_topic(topic)
    allow_reading(site.broker.bootstrap_servers, USER, topic)
    send(site.broker.bootstrap_servers, topic, [b"1", b"2"])
    config = KafkaSettings(**site.settings(group_id=topic)).client_config()
    kafka = KafkaCluster(config)
    (source,) = kafka.partitions(lambda name: name == topic)
    lanes = LaneReader(
        lambda: assigned_consumer(config, queue_bytes=2**20, max_message_bytes=2**20),
        kafka,
        CutLimits(2**20, 100, 60.0),
        lambda *_: None,
    )
    lanes.start(Assignment(source, 0, 1))
    wait_until("both messages", lambda: lanes.read(10, 0.1) or lanes.messages == 2)
    denied = f"resource = Group:LITERAL:{topic}"
    wait_until("the refusal", lambda: site.broker.log_path.read_text().count(denied) > 3)
    for _ in range(20):
        lanes.read(10, 0.1)
    assert lanes.troubles == {}


def read_as(site: SiteKafka, user: str, password: str, topic: str, group: str) -> tuple[int, str]:
    """Return how many messages a user reads, and the last error."""
    config = KafkaSettings(
        **site.settings(sasl_username=user, sasl_password=password, group_id=group)
    ).client_config()
    errors: list[str] = []
    consumer = Consumer(
        {
            **config,
            "auto.offset.reset": "earliest",
            "log_level": 0,
            "error_cb": lambda error: errors.append(error.name()),
        }
    )
    consumer.subscribe([topic])
    count, ends_s = 0, time.monotonic() + 30
    try:
        while count < 2 and not errors and time.monotonic() < ends_s:
            message = consumer.poll(0.2)
            if message is not None and message.error() is not None:
                errors.append(message.error().name())
            elif message is not None:
                count += 1
    finally:
        consumer.close()
    return count, errors[-1] if errors else ""


def printed_to_alice(site: SiteKafka, topic: str) -> list[str]:
    """Send a message in Confluent's frame, with its schema; return what `finkray consume` prints.

    She was given the topic, and nobody said anything of that of the schemas.
    """
    schemas = schemas_topic(INSTANCE)
    text = '{"type": "record", "name": "a", "fields": [{"name": "x", "type": "int"}]}'
    entry = json.dumps({"id": FIRST_ID, "subject": topic, "schema": text}).encode()
    for name, value in ((schemas, entry), (topic, write_frame(FIRST_ID, b"\x0e"))):
        site.broker.create_topic(name)
        send(site.broker.bootstrap_servers, name, [value])
    alice = site.settings(sasl_username="alice", sasl_password="a password")
    settings = Settings(kafka=KafkaSettings(**alice))
    lines: list[str] = []
    consume_now(
        settings,
        topic,
        None,
        "parquet",
        print_line=lines.append,
        go_on=lambda at_end: not at_end,
        limit=None,
    )
    return lines


def is_slowed(site: SiteKafka, topic: str, group: str) -> bool:
    """Return whether Kafka tells alice's client that it answers later, until both messages came."""
    told: list[float] = []
    config = KafkaSettings(
        **site.settings(sasl_username="alice", sasl_password="a password", group_id=group)
    ).client_config()
    own = {"auto.offset.reset": "earliest", "throttle_cb": lambda e: told.append(e.throttle_time)}
    consumer = Consumer({**config, **own})
    consumer.subscribe([topic])
    count, ends_s = 0, time.monotonic() + 30
    try:
        while count < 2 and not told and time.monotonic() < ends_s:
            message = consumer.poll(0.2)
            count += message is not None and message.error() is None
        consumer.poll(0.5)
    finally:
        consumer.close()
    return bool(told)


def limit_as_the_page_says(bootstrap_servers: str, bytes_per_s: int) -> None:
    """Run the command of docs/subscribe.md with Kafka's own tool, and another limit."""
    (command,) = re.findall(r"^    kafka-configs.sh (.* --alter .*)$", SUBSCRIBE.read_text(), re.M)
    command = command.replace("broker:9092", bootstrap_servers)
    command = command.replace("byte_rate=1000000", f"byte_rate={bytes_per_s}")
    java = find_java()
    tool = [str(java.executable), "-cp", f"{kafka_jars(java)}/*", "kafka.admin.ConfigCommand"]
    said = subprocess.run([*tool, *command.split()], capture_output=True, text=True, check=True)
    assert "Completed updating config for user alice" in said.stdout


def test_a_subscriber_reads_its_topics_in_its_groups_until_it_is_removed(
    site: SiteKafka, topic: str
) -> None:
    servers = site.broker.bootstrap_servers
    subscribers = Subscribers({"bootstrap.servers": servers}, INSTANCE)
    for name in (f"open_{topic}", f"closed_{topic}"):
        site.broker.create_topic(name)
        send(site.broker.bootstrap_servers, name, [b"1", b"2"])
    subscribers.add("alice", "a password", [f"open_{topic}", "fink_*"])
    assert subscribers.all() == {"alice": ["fink_*", f"open_{topic}"]}
    with pytest.raises(SettingsError, match="one begins with the other"):
        subscribers.add("al", "a password", ["fink_*"])
    read = partial(read_as, site, "alice", "a password")
    wait_until("her login", lambda: read(f"open_{topic}", "alice-1")[0] == 2)
    assert printed_to_alice(site, f"fink_{topic}") == ['{"x": 7}']
    assert read(f"closed_{topic}", "alice-2") == (0, "TOPIC_AUTHORIZATION_FAILED")
    assert read(f"open_{topic}", "bob-1") == (0, "GROUP_AUTHORIZATION_FAILED")
    assert read_as(site, "alice", "guessed", f"open_{topic}", "alice-3")[0] == 0
    assert not is_slowed(site, f"open_{topic}", "alice-4")
    limit_as_the_page_says(site.broker.bootstrap_servers, bytes_per_s=1)
    wait_until("Kafka to slow her down", lambda: is_slowed(site, f"open_{topic}", "alice-5"))
    subscribers.remove("alice")
    assert subscribers.all() == {}
    assert read(f"open_{topic}", "alice-6")[0] == 0
    with pytest.raises(SettingsError, match="there is no subscriber 'alice'; there are: none"):
        subscribers.remove("alice")
    for name, topics in (("Alice", ["x"]), ("alice", []), ("alice", ["a b"])):
        with pytest.raises(SettingsError):
            subscribers.add(name, "a password", topics)


def test_the_recipes_of_the_page_let_one_in(site: SiteKafka, topic: str, tmp_path: Path) -> None:
    site.broker.create_topic(topic)
    allow_reading(site.broker.bootstrap_servers, USER, topic)
    password = tmp_path / "password"
    password.write_text(site.password)
    first, second = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    login, _ = first.split("[kafka.options]")
    for recipe in (first, login + second):
        text = recipe
        for told, here in (
            ("kafka-1.example.org:9093,kafka-2.example.org:9093", site.broker.login_servers),
            (r"^ztf_\d{8}_programid1$", topic),
            ("/etc/finkray/kafka.password", str(password)),
            ("/etc/finkray/observatory-ca.pem", str(site.ca)),
        ):
            text = text.replace(told, here)
        path = tmp_path / "finkray.toml"
        path.write_text(text)
        checks = list(kafka_checks(load(path, {}).kafka))
        assert [check.ok for check in checks] == [True, True], checks
