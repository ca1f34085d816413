"""Set rights on a broker, so that clients may only read, as on a survey's own Kafka.

    with Kafka.running(properties=AUTHORIZER) as kafka:
        ...                             # create topics, play
        forbid_writing(kafka.bootstrap_servers)

From then on clients can list and read topics. Kafka refuses to let them write, create or delete
topics, or commit the offsets of a group.

With a `sim.broker.login.Login` a user has only the rights that a rule gives to this user:

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
"""Broker settings that `forbid_writing` needs."""

ONLY_WHAT_IS_ALLOWED: Final = {**_STANDARD, "super.users": "User:ANONYMOUS"}
"""Broker settings with which a user may do only what a rule allows."""

# As soon as a resource has a rule, Kafka forbids what no rule of this resource allows.
_ALLOWED = (
    # The broker itself is the same anonymous user as its clients, and needs these two.
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
    """Forbid all clients everything but reading, for as long as the broker's data exist.

    Raises
    ------
    KafkaUnavailable
        The broker has no authorizer, or did not apply the rules in time.
    """
    try:
        _create_offsets_topic(bootstrap_servers)
        _allow(bootstrap_servers, [_rule("ANONYMOUS", *right) for right in _ALLOWED])
    except KafkaException as error:
        raise KafkaUnavailable(f"writing could not be forbidden: {error}") from error


def allow_reading(bootstrap_servers: str, user: str, topic: str) -> None:
    """Give a user the rights to read a topic: READ and DESCRIBE, and none on groups.

    Raises
    ------
    KafkaUnavailable
        The broker has no authorizer, or did not apply the rules in time.
    """
    try:
        _allow(bootstrap_servers, [_rule(user, ResourceType.TOPIC, topic, op) for op in _READING])
    except KafkaException as error:
        raise KafkaUnavailable(f"reading could not be allowed: {error}") from error


def _rule(user: str, resource: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    literal, allow = ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    return AclBinding(resource, name, literal, f"User:{user}", "*", operation, allow)


def _allow(bootstrap_servers: str, rules: list[AclBinding]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for reply in admin.create_acls(rules).values():
        reply.result(timeout=_TIMEOUT_S)
    # The controller has the rules now; the broker applies them a moment later.
    deadline_s = time.monotonic() + _TIMEOUT_S
    while not set(rules).issubset(admin.describe_acls(_ANY).result(timeout=_TIMEOUT_S)):
        if time.monotonic() > deadline_s:
            raise KafkaUnavailable(f"the broker did not apply the new rights within {_TIMEOUT_S} s")
        time.sleep(0.05)


def _create_offsets_topic(bootstrap_servers: str) -> None:
    """Let Kafka create its topic of consumer offsets, as nobody may create a topic later.

    A survey's broker has this topic, because other users have groups. With it a broker refuses an
    offset commit at once; without it the client waits.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "finkray-simulator"})
    deadline_s = time.monotonic() + _TIMEOUT_S
    try:
        while True:
            try:
                consumer.committed([TopicPartition("any", 0)], timeout=_TIMEOUT_S)
            except KafkaException:
                # Until the topic exists the group has no coordinator, or a wrong one.
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)
            else:
                return
    finally:
        consumer.close()
