"""A broker that lets clients read and nothing else, as a survey's upstream does.

    with Kafka.running(properties=AUTHORIZER) as kafka:
        ...                             # make topics, play
        forbid_writing(kafka.bootstrap_servers)

From then on topics can be listed and read. To write, to make or remove topics and to commit
the offsets of a group is refused.

With a `sim.broker.login.Login` each user has rights of its own, and none that nobody gave:

    with Kafka.running(properties=ONLY_WHAT_IS_ALLOWED, login=login) as kafka:
        allow_reading(kafka.bootstrap_servers, "finkray", topic)
"""

import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from finkray.errors import KafkaUnavailable

_STANDARD: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
}
AUTHORIZER: Final = {**_STANDARD, "allow.everyone.if.no.acl.found": "true"}
"""What a broker must be started with, so that it can be told later what is forbidden."""

ONLY_WHAT_IS_ALLOWED: Final = {**_STANDARD, "super.users": "User:ANONYMOUS"}
"""With this, whoever logs in may do nothing until it is allowed."""

# Where something is allowed, all else is forbidden.
_ALLOWED = (
    # The broker itself comes as the same nobody, and must go on working.
    (ResourceType.BROKER, "kafka-cluster", AclOperation.CLUSTER_ACTION),
    (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE),
    (ResourceType.TOPIC, "*", AclOperation.READ),
    (ResourceType.TOPIC, "*", AclOperation.DESCRIBE),
    (ResourceType.TOPIC, "*", AclOperation.DESCRIBE_CONFIGS),
    (ResourceType.GROUP, "*", AclOperation.DESCRIBE),
)
_READING = (AclOperation.READ, AclOperation.DESCRIBE)
_TIMEOUT_S = 30
_ANY = AclBindingFilter(
    ResourceType.ANY,
    None,
    ResourcePatternType.ANY,
    None,
    None,
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def forbid_writing(bootstrap_servers: str) -> None:
    """Forbid all but reading to everybody, for as long as the broker's data live.

    Raises
    ------
    KafkaUnavailable
        The broker has no authorizer, or did not follow in time.
    """
    try:
        _make_room_for_groups(bootstrap_servers)
        _allow(bootstrap_servers, [_rule("ANONYMOUS", *what) for what in _ALLOWED])
    except KafkaException as error:
        raise KafkaUnavailable(f"writing could not be forbidden: {error}") from error


def allow_reading(bootstrap_servers: str, user: str, topic: str) -> None:
    """Give a user what it takes to read a topic: READ and DESCRIBE, and nothing on groups.

    Raises
    ------
    KafkaUnavailable
        The broker has no authorizer, or did not follow in time.
    """
    try:
        _allow(bootstrap_servers, [_rule(user, ResourceType.TOPIC, topic, op) for op in _READING])
    except KafkaException as error:
        raise KafkaUnavailable(f"reading could not be allowed: {error}") from error


def _rule(user: str, kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    literal, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    return AclBinding(kind, name, literal, f"User:{user}", "*", operation, allow)


def _allow(bootstrap_servers: str, rules: list[AclBinding]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for answer in admin.create_acls(rules).values():
        answer.result(timeout=_TIMEOUT_S)
    # The controller has them now; the broker follows a moment later.
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not set(rules).issubset(admin.describe_acls(_ANY).result(timeout=_TIMEOUT_S)):
        if time.monotonic() > deadline_s:
            raise KafkaUnavailable("the broker does not follow what it was told to allow")
        time.sleep(0.05)


def _make_room_for_groups(bootstrap_servers: str) -> None:
    """Let Kafka make its own topic of offsets, which later nobody may.

    A survey's broker has groups of others: a commit there is refused, and not waited for.
    """
    asker = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "finkray-simulator"})
    deadline_s = time.monotonic() + _TIMEOUT_S
    try:
        while True:
            try:
                asker.committed([TopicPartition("any", 0)], timeout=_TIMEOUT_S)
            except KafkaException:
                # While the topic is made there is no coordinator, or not the right one.
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)
            else:
                return
    finally:
        asker.close()
