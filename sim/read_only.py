"""A broker that lets clients read and nothing else, as a survey's upstream does.

    with Kafka.running(properties=AUTHORIZER) as kafka:
        ...                             # make topics, play
        forbid_writing(kafka.bootstrap_servers)

From then on topics can be listed and read. To write, to make or remove topics and to commit
the offsets of a group is refused.
"""

from typing import Final

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

AUTHORIZER: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""What a broker must be started with, so that it can be told later what is forbidden."""

_ALLOWED = (
    # The broker itself comes as the same nobody, and must go on working.
    (ResourceType.BROKER, "kafka-cluster", AclOperation.ALL),
    (ResourceType.TOPIC, "*", AclOperation.READ),
    (ResourceType.TOPIC, "*", AclOperation.DESCRIBE),
    (ResourceType.GROUP, "*", AclOperation.DESCRIBE),
)
_FORBIDDEN = (
    (ResourceType.TOPIC, "*", AclOperation.WRITE),
    (ResourceType.TOPIC, "*", AclOperation.CREATE),
    (ResourceType.TOPIC, "*", AclOperation.DELETE),
    (ResourceType.TOPIC, "*", AclOperation.ALTER),
    (ResourceType.BROKER, "kafka-cluster", AclOperation.CREATE),
    (ResourceType.GROUP, "*", AclOperation.READ),
)


def forbid_writing(bootstrap_servers: str) -> None:
    """Forbid all but reading to everybody, for as long as the broker's data live."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    rules = [_rule(*what, AclPermissionType.ALLOW) for what in _ALLOWED]
    rules += [_rule(*what, AclPermissionType.DENY) for what in _FORBIDDEN]
    for answer in admin.create_acls(rules).values():
        answer.result(timeout=30)


def _rule(
    kind: ResourceType, name: str, operation: AclOperation, permission: AclPermissionType
) -> AclBinding:
    nobody = "User:ANONYMOUS"
    return AclBinding(kind, name, ResourcePatternType.LITERAL, nobody, "*", operation, permission)
