"""Make and remove topics, on the simulator's broker or any other that allows it."""

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from finkray.errors import KafkaUnavailable

_TIMEOUT_S = 30


def create_topic(
    client: Mapping[str, object], name: str, partitions: int, settings: Mapping[str, str]
) -> None:
    """Make a topic and wait until it is there.

    Parameters
    ----------
    client
        Options of librdkafka, `bootstrap.servers` at least.
    name, partitions
        Its name, and how many partitions it has. One replica of each.
    settings
        Its settings by Kafka's names.

    Raises
    ------
    KafkaUnavailable
        Kafka refused, or the topic is there already.
    """
    if not _created(client, name, partitions, settings):
        raise KafkaUnavailable(f"topic {name} could not be made: it already exists")


def ensure_topic(client: Mapping[str, object], name: str, partitions: int) -> None:
    """Make a topic with so many partitions; one that is there already is left as it is.

    Raises
    ------
    KafkaUnavailable
        Kafka refused.
    """
    _created(client, name, partitions, {})


def delete_topic(client: Mapping[str, object], name: str) -> None:
    """Remove a topic.

    Raises
    ------
    KafkaUnavailable
        Kafka refused, or there is no such topic.
    """
    admin = AdminClient(dict(client))
    try:
        admin.delete_topics([name], operation_timeout=_TIMEOUT_S)[name].result()
    except KafkaException as error:
        raise KafkaUnavailable(f"topic {name} could not be removed: {error}") from error


def _created(
    client: Mapping[str, object], name: str, partitions: int, settings: Mapping[str, str]
) -> bool:
    """Whether it was made now; False if it was there."""
    # The client must live until the answer is there.
    admin = AdminClient(dict(client))
    topic = NewTopic(name, partitions, replication_factor=1, config=dict(settings))
    try:
        admin.create_topics([topic], operation_timeout=_TIMEOUT_S)[name].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise KafkaUnavailable(f"topic {name} could not be made: {error}") from error
    return True
