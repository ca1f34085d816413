"""A Kafka as sites have it: TLS, logins, few rights; what lets one in, what is said if not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finkray.ingest.intake import CutLimits
from finkray.ingest.lane_reader import LaneReader
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import assigned_consumer
from finkray.settings.kafka import KafkaSettings
from finkray.settings.model import load
from jobs.commands.checks import kafka_checks
from sim.broker.read_only import allow_reading
from tests.support.archiving import wait_until
from tests.support.packets import send
from tests.support.site_kafka import USER, SiteKafka, site_kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "kafka.md"


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
