"""Logins of subscribers: SCRAM users of the Kafka of streaming out, with rights to read topics.

A subscriber may read the topics that it was given, and that of the schemas, without which messages
in Confluent's frame cannot be decoded, in consumer groups whose names begin with its own. Kafka's
authoriser must be on, or everybody may read everything. The login of finkray needs the rights to
alter users and rules, `Alter` on the cluster.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from finkray.errors import SettingsError
from finkray.kafka.config import admin_config, options_explained
from finkray.kafka.errors import finkray_error
from finkray.settings.kafka import TOPIC_NAME
from finkray.streamout.filter_file import NAME
from finkray.streamout.topics import schemas_topic

ITERATIONS: Final = 8192
"""Rounds of SCRAM-SHA-512 with which Kafka keeps a password; its least is 4096."""

PREFIX_MARK: Final = "*"
"""Mark at the end of a name that stands for all topics that begin with the name."""

_TIMEOUT: Final = {"request_timeout": 20.0}
"""In seconds; the client's own is 60 s."""

_MECHANISM: Final = ScramMechanism.SCRAM_SHA_512


class Subscribers:
    """The subscribers of a Kafka.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    instance
        of streaming out, whose schemas they may read
    """

    def __init__(self, config: Mapping[str, Any], instance: str) -> None:
        self._schemas_topic = schemas_topic(instance)
        with options_explained():
            self._admin = AdminClient(admin_config(config))

    def add(self, name: str, password: str, topics: Sequence[str]) -> None:
        """Add a subscriber, or give one another password and more topics.

        Parameters
        ----------
        name
            of the user
        password
            of the user
        topics
            names, or beginnings of names followed by `*`

        Raises
        ------
        SettingsError
            if a name is none, or two subscribers would share consumer groups
        KafkaUnavailable
            if Kafka refuses
        """
        _refuse_names(name, topics)
        refuse_shared_groups(name, self.all())
        info = ScramCredentialInfo(_MECHANISM, ITERATIONS)
        credential = UserScramCredentialUpsertion(name, info, password.encode())
        rules = [_may_read(name, ResourceType.GROUP, name + PREFIX_MARK)]
        readable = (self._schemas_topic, *topics)
        rules += [_may_read(name, ResourceType.TOPIC, topic) for topic in readable]
        self._wait(self._admin.alter_user_scram_credentials([credential], **_TIMEOUT))
        self._wait(self._admin.create_acls(rules, **_TIMEOUT))

    def remove(self, name: str) -> None:
        """Remove a subscriber: what it reads ends at its next fetch.

        Both go: a user without a password keeps its open connections, one without rights does not.

        Raises
        ------
        SettingsError
            if there is no such subscriber
        KafkaUnavailable
            if Kafka refuses
        """
        if name not in self.all():
            known = ", ".join(self.all()) or "none"
            raise SettingsError(f"there is no subscriber {name!r}; there are: {known}")
        self._wait(self._admin.delete_acls([_rules_of(name)], **_TIMEOUT))
        deletion = UserScramCredentialDeletion(name, _MECHANISM)
        self._wait(self._admin.alter_user_scram_credentials([deletion], **_TIMEOUT))

    def all(self) -> dict[str, list[str]]:
        """Return the topics of each subscriber, by name; users without topics are none.

        The topic of the schemas, which every subscriber may read, is not among them.

        Raises
        ------
        KafkaUnavailable
            if Kafka refuses
        """
        try:
            rules = self._admin.describe_acls(_rules_of(None), **_TIMEOUT).result()
        except KafkaException as error:
            raise finkray_error(error) from error
        topics: dict[str, list[str]] = {}
        groups = set()
        for rule in rules:
            user = rule.principal.removeprefix("User:")
            if rule.restype == ResourceType.GROUP and rule.name == user:
                groups.add(user)
            elif rule.name == self._schemas_topic:
                continue
            elif rule.restype == ResourceType.TOPIC and rule.operation == AclOperation.READ:
                is_prefix = rule.resource_pattern_type == ResourcePatternType.PREFIXED
                topics.setdefault(user, []).append(rule.name + PREFIX_MARK * is_prefix)
        return {user: sorted(topics[user]) for user in sorted(groups & topics.keys())}

    def _wait(self, futures: Mapping[Any, Any]) -> None:
        try:
            for future in futures.values():
                future.result()
        except KafkaException as error:
            raise finkray_error(error, "subscribers could not be changed") from error


def _refuse_names(name: str, topics: Sequence[str]) -> None:
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r}: a subscriber's name has lower-case letters, digits and _, and begins with "
            "a letter"
        )
    if not topics:
        raise SettingsError(f"subscriber {name}: name at least one topic")
    for topic in topics:
        if not TOPIC_NAME.fullmatch(topic.removesuffix(PREFIX_MARK)):
            raise SettingsError(f"{topic!r} is no name of a topic, nor the beginning of one and *")


def refuse_shared_groups(name: str, known: Iterable[str]) -> None:
    """Refuse a name that is the beginning of another one: it could use the groups of that one.

    Raises
    ------
    SettingsError
        names the other
    """
    for other in known:
        if other != name and (other.startswith(name) or name.startswith(other)):
            raise SettingsError(
                f"{name!r}: of this name and that of the subscriber {other!r} one begins with the "
                "other, so one could read in the other's consumer groups: choose another name"
            )


def _may_read(user: str, resource: ResourceType, name: str) -> AclBinding:
    is_prefix = name.endswith(PREFIX_MARK)
    pattern = ResourcePatternType.PREFIXED if is_prefix else ResourcePatternType.LITERAL
    return AclBinding(
        resource,
        name.removesuffix(PREFIX_MARK),
        pattern,
        f"User:{user}",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )


def _rules_of(user: str | None) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        None if user is None else f"User:{user}",
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
