"""The Kafka of streaming out, as commands find it."""

from contextlib import closing
from typing import Final

from finkray.errors import KafkaUnavailable
from finkray.kafka.cluster import REQUEST_TIMEOUT_S, KafkaCluster
from finkray.settings.model import Settings

ANSWER_S: Final = REQUEST_TIMEOUT_S
"""How long a command waits for an answer before it gives up. Its requests alone would wait for half
a minute each: they may have to create a topic on brokers that have just started."""


def streamout_kafka(settings: Settings) -> dict[str, str | bool | int | float]:
    """Return the properties of the clients of streaming out, once a broker has answered.

    Raises
    ------
    KafkaUnavailable
        No broker answers, or the login is refused; the message names the brokers.
    """
    config = settings.streamout_client_config()
    try:
        with closing(KafkaCluster(config, ANSWER_S)) as cluster:
            cluster.cluster_id()
    except KafkaUnavailable as error:
        owner = "streamout" if settings.streamout.bootstrap_servers else "kafka"
        raise KafkaUnavailable(
            f"the Kafka of streaming out at {config['bootstrap.servers']} did not answer within "
            f"{ANSWER_S:g} s. Is it up, and is {owner}.bootstrap_servers right? {error}"
        ) from error
    return config
