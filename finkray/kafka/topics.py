"""Create and delete topics, on every broker that allows it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

from finkray.errors import FinkrayError, KafkaUnavailable, TopicChanged
from finkray.kafka.config import admin_config, options_explained
from finkray.kafka.errors import explain, finkray_error

_TIMEOUT_S: Final = 30.0
"""How long a change may take. A broker that has just started needs some seconds."""

_TIMEOUTS: Final = {"operation_timeout": _TIMEOUT_S, "request_timeout": _TIMEOUT_S}
"""The broker's, and the client's, which would be 60 s."""

_POLL_S: Final = 0.05


def create_topic(
    config: Mapping[str, Any],
    name: str,
    partitions: int,
    settings: Mapping[str, str] | None = None,
    *,
    replicas: int = 1,
) -> None:
    """Create a topic, and wait until Kafka names a leader of each partition.

    Parameters
    ----------
    config
        librdkafka's properties, `bootstrap.servers` at least
    name, partitions
        its name, and how many partitions it has
    settings
        its settings by Kafka's names, such as `{"cleanup.policy": "compact"}`
    replicas
        how many brokers hold a copy of each partition

    Raises
    ------
    FinkrayError
        if the topic exists already
    KafkaUnavailable
        if Kafka refused, or its partitions have no leaders in time
    """
    admin = _admin(config)
    if not _created(admin, name, partitions, settings or {}, replicas):
        raise FinkrayError(
            f"topic {name} could not be created: it already exists: choose another name, or delete "
            "it first"
        )
    _wait_for_leaders(admin, name)


def ensure_topic(
    config: Mapping[str, Any],
    name: str,
    partitions: int,
    settings: Mapping[str, str] | None = None,
    *,
    replicas: int = 1,
) -> None:
    """Create a topic as `create_topic` does, unless it exists; one that exists is left as it is.

    The parameters are those of `create_topic`.

    Raises
    ------
    KafkaUnavailable
        if Kafka refused, or its partitions have no leaders in time
    """
    admin = _admin(config)
    if _created(admin, name, partitions, settings or {}, replicas):
        _wait_for_leaders(admin, name)


def delete_topic(config: Mapping[str, Any], name: str) -> None:
    """Delete a topic.

    Raises
    ------
    KafkaUnavailable
        if Kafka refused, or there is no such topic
    """
    admin = _admin(config)
    try:
        admin.delete_topics([name], **_TIMEOUTS)[name].result()
    except KafkaException as error:
        reason = explain(error.args[0])
        raise KafkaUnavailable(f"topic {name} could not be deleted: {reason}") from error


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as Kafka has it.

    Attributes
    ----------
    topic_id
        Kafka's id of it, which a topic that is created anew has not; None before Kafka 2.8
    partitions
        how many it has
    """

    topic_id: str | None
    partitions: int


def find_topic(config: Mapping[str, Any], name: str) -> Topic | None:
    """Return a topic; None if there is no such topic.

    Raises
    ------
    KafkaUnavailable
        if no broker answers
    """
    admin = _admin(config)  # the request ends with it
    try:
        asked = admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT_S)
        found = asked[name].result()
    except KafkaException as error:
        known = finkray_error(error)
        if isinstance(known, TopicChanged):
            return None
        raise known from error
    topic_id = None if found.topic_id is None else str(found.topic_id)
    return Topic(topic_id, len(found.partitions))


def partition_count(config: Mapping[str, Any], name: str) -> int | None:
    """Return how many partitions a topic has; None if there is no such topic.

    Raises
    ------
    KafkaUnavailable
        if no broker answers
    """
    found = find_topic(config, name)
    return None if found is None else found.partitions


def _admin(config: Mapping[str, Any]) -> AdminClient:
    with options_explained():
        return AdminClient(admin_config(config))


def _wait_for_leaders(admin: AdminClient, name: str) -> None:
    """Wait until a topic is in the metadata of the brokers, with a leader for each partition.

    A broker acknowledges a new topic before the metadata that it answers with has it: a client that
    asks at once may be told that there is no such topic.
    """
    deadline_s = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            # All topics: a request for one creates it, where brokers create topics on request.
            found = admin.list_topics(timeout=_TIMEOUT_S).topics.get(name)
        except KafkaException as error:
            raise finkray_error(error) from error
        leaders = [each.leader for each in found.partitions.values()] if found else []
        if leaders and min(leaders) >= 0:
            return
        if time.monotonic() > deadline_s:
            raise KafkaUnavailable(
                f"topic {name} was created, but its partitions have no leaders after "
                f"{_TIMEOUT_S:.0f} s; check the brokers' logs"
            )
        time.sleep(_POLL_S)


def _created(
    admin: AdminClient,
    name: str,
    partitions: int,
    settings: Mapping[str, str],
    replicas: int,
) -> bool:
    """Create a topic; return False if it existed."""
    topic = NewTopic(name, partitions, replication_factor=replicas, config=dict(settings))
    try:
        admin.create_topics([topic], **_TIMEOUTS)[name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise finkray_error(error, f"topic {name} could not be created") from error
    return True
