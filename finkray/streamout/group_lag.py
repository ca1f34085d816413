"""How far consumer groups are behind in the topics of filters."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from finkray.kafka.config import admin_config
from finkray.kafka.errors import finkray_error
from finkray.status.streamout import GroupLag

MOST_GROUPS: Final = 200
"""Groups that are looked at: each costs Kafka a request."""

_TIMEOUT_S: Final = 10.0
_NOT_LISTED: Final = "consumer groups cannot be listed"


def group_lags(config: Mapping[str, Any], topics: Collection[str]) -> tuple[GroupLag, ...]:
    """Return the lag of each consumer group that has committed offsets in any of the topics.

    Offsets of commit markers count too: a group at the end of a topic has a lag of 0, one before
    its end a lag that is larger than the number of its messages.

    Raises
    ------
    FinkrayError
        if Kafka does not answer, or the login may not list groups
    """
    if not topics:
        return ()
    admin = AdminClient(admin_config(config))
    try:
        listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result()
        if listed.errors:
            raise finkray_error(listed.errors[0], _NOT_LISTED)
        names = sorted(group.group_id for group in listed.valid)[:MOST_GROUPS]
        committed = {name: _committed(admin, name, topics) for name in names}
        partitions = {key for offsets in committed.values() for key in offsets}
        ends = _ends(admin, partitions)
    except KafkaException as error:
        raise finkray_error(error, _NOT_LISTED) from error
    lags: dict[tuple[str, str], int] = {}
    for name, offsets in committed.items():
        for (topic, partition), offset in offsets.items():
            behind = max(0, ends.get((topic, partition), offset) - offset)
            lags[name, topic] = lags.get((name, topic), 0) + behind
    return tuple(GroupLag(group=g, topic=t, lag=lag) for (g, t), lag in sorted(lags.items()))


def _committed(
    admin: AdminClient, group: str, topics: Collection[str]
) -> dict[tuple[str, int], int]:
    """Return the offsets that a group has committed in the topics."""
    request = [ConsumerGroupTopicPartitions(group)]
    (answer,) = admin.list_consumer_group_offsets(request, request_timeout=_TIMEOUT_S).values()
    found = answer.result().topic_partitions
    return {(p.topic, p.partition): p.offset for p in found if p.topic in topics and p.offset >= 0}


def _ends(
    admin: AdminClient, partitions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """Return the high watermark of each partition."""
    if not partitions:
        return {}
    request = {KafkaPartition(*key): OffsetSpec.latest() for key in partitions}
    answers = admin.list_offsets(request, request_timeout=_TIMEOUT_S)
    return {(p.topic, p.partition): a.result().offset for p, a in answers.items()}
