"""librdkafka's properties for each type of client, made from those of the settings.

`KafkaSettings.client_config` returns the properties of the `[kafka]` section with its secrets in
clear text. The functions here add what finkray needs of a client and remove what it does not take.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Final

from confluent_kafka import KafkaException

from finkray.errors import SettingsError

CLIENT_DEFAULTS: Final[Mapping[str, Any]] = {
    # finkray receives a broker's failure as an error and logs it once, with its partition;
    # librdkafka would also write a line about each of its attempts, twenty in a second.
    "log_level": 2,
    "reconnect.backoff.ms": 250,
    # With connections only where they are needed, a third of the clients whose broker hung for
    # some seconds never tried to connect again (librdkafka 2.x), and never found a broker.
    "enable.sparse.connections": False,
}
"""Properties of every client, unless the settings' options say otherwise."""

RENEW_CLIENT_S: Final = 30.0
"""Time without an answer after which a client is made anew. Some clients whose broker hung for some
seconds never connect again (librdkafka 2.x)."""

_PRODUCER_DEFAULTS: Final[Mapping[str, Any]] = {
    # Alerts in batches of 27 messages (270 a second): zstd at level 1 has the best ratio for
    # the CPU it takes, and gzip takes up to 20 times as much.
    "compression.type": "zstd",
    "compression.level": 1,
    "linger.ms": 20,
}

BROKER_LOOKS_S: Final = 10.0
"""How often a broker looks for transactions that take too long, by default:
`transaction.abort.timed.out.transaction.cleanup.interval.ms`."""

ABORTING_S: Final = 1.0
"""How long the broker may take to end a transaction that it found, until readers go on."""

DEAD_WRITER_S: Final = 20.0
"""How long readers of committed messages may wait for a writer that died in a transaction: until
that is ended they get nothing more from the partitions that it touched, also of what others wrote.
Measured with a time-out of 10 s: 14 to 18 s; of 30 s: 39 to 40 s."""

FETCH_OF_PARTITION_BYTES: Final = 1024 * 1024
FETCH_BYTES: Final = 16 * 1024 * 1024
"""Most bytes of a fetch, of one partition and of all. The client decompresses all record batches of
a fetch at once, before anything is counted, and keeps them until their last message is polled:
1 MB of gzip may be 1 GB. With 256 KiB and 4 MiB the archive was slower, 2824 to 3185 alerts/s in
three runs on two cores; with these 3361 and 3973, with 8 and 64 MiB 3812. `kafka.options` may say
otherwise."""

SMALL_FETCH_BYTES: Final = 64 * 1024
"""Most bytes of a fetch while it is not known what it unpacks to: 66 MB at most with gzip, or one
record batch, which Kafka sends whole."""

COMMON_OPTIONS: Final = (
    *("security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"),
    *("sasl.kerberos.service.name", "sasl.kerberos.principal", "sasl.kerberos.keytab"),
    *("sasl.oauthbearer.method", "sasl.oauthbearer.config", "sasl.oauthbearer.client.id"),
    *("sasl.oauthbearer.client.secret", "sasl.oauthbearer.token.endpoint.url"),
    *("ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem"),
    *("ssl.key.location", "ssl.key.pem", "ssl.key.password", "ssl.cipher.suites"),
    *("ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification"),
    *("client.id", "client.rack", "client.dns.lookup", "broker.address.family", "debug"),
    *("log_level", "socket.timeout.ms", "socket.keepalive.enable", "reconnect.backoff.ms"),
    *("reconnect.backoff.max.ms", "connections.max.idle.ms", "metadata.max.age.ms"),
    *("fetch.min.bytes", "fetch.max.bytes", "fetch.wait.max.ms", "fetch.message.max.bytes"),
    *("receive.message.max.bytes", "compression.type", "compression.level", "linger.ms"),
)
"""Options that a site sets, for the hint at a misspelt one: librdkafka does not list its own."""

_UNKNOWN_OPTION: Final = re.compile(r'No such configuration property: "(.+)"')

_CONSUMER_ONLY: Final = (
    "fetch.",
    "queued.",
    "group.",
    "auto.",
    "enable.auto",
    "enable.partition",
    "max.poll",
    "isolation.level",
)


def admin_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a client that reads metadata or manages topics."""
    return {**CLIENT_DEFAULTS, **_without_consumer_keys(config)}


def producer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a producer without transactions.

    It is idempotent: when a broker fails and comes back, each message is written once and in
    order.
    """
    return {
        **CLIENT_DEFAULTS,
        **_PRODUCER_DEFAULTS,
        **_without_consumer_keys(config),
        "enable.idempotence": True,
    }


def transaction_timeout_ms(dead_writer_s: float) -> int:
    """Return the time-out of transactions with which a dead writer delays readers no longer.

    A broker ends a transaction at its first look after the time-out, so that readers wait for the
    time-out, at most the time between two looks, and the ending.

    Parameters
    ----------
    dead_writer_s
        most seconds that readers may wait
    """
    return round(1000 * (dead_writer_s - BROKER_LOOKS_S - ABORTING_S))


def transactional_config(config: Mapping[str, Any], transactional_id: str) -> dict[str, Any]:
    """Return the properties of a producer that writes in transactions."""
    return {
        "transaction.timeout.ms": transaction_timeout_ms(DEAD_WRITER_S),
        **producer_config(config),
        "transactional.id": transactional_id,
    }


def assigned_consumer_config(
    config: Mapping[str, Any], *, queue_bytes: int, max_message_bytes: int
) -> dict[str, Any]:
    """Return the properties of a consumer that is assigned partitions, see `assigned_consumer`."""
    return {
        **CLIENT_DEFAULTS,
        "group.id": "finkray",
        "fetch.message.max.bytes": min(queue_bytes, FETCH_OF_PARTITION_BYTES),
        "fetch.max.bytes": min(queue_bytes, FETCH_BYTES),
        "queued.max.messages.kbytes": max(1, queue_bytes // 1024),
        "fetch.wait.max.ms": 50,
        # librdkafka's own pause when its queue is full is 1 s, in which finkray's runs empty.
        "fetch.queue.backoff.ms": 10,
        **config,
        # The archive's guarantees depend on these, so no option may change them.
        # A bit that changed in the broker's log or on the wire must not become a value. In a loop
        # that consumes messages of 66 kB it costs 62 us of CPU time each in place of 52, at best of
        # 18 tries in turn; archiving an alert takes 360 us.
        "check.crcs": True,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        # A consumer uses this for a check alone: that a fetch has room for one message. Kafka sends
        # the first record batch whole, however large it is (KIP-74).
        "message.max.bytes": min(queue_bytes, FETCH_BYTES, max_message_bytes),
    }


def one_batch_config(config: Mapping[str, Any], *, max_message_bytes: int) -> dict[str, Any]:
    """Return the properties of a consumer that fetches one record batch at a time."""
    return {
        **assigned_consumer_config(
            config, queue_bytes=FETCH_BYTES, max_message_bytes=max_message_bytes
        ),
        # No option may change these. Kafka sends the first record batch whole (KIP-74), and the
        # next is fetched when the last message of this one was polled.
        "fetch.message.max.bytes": 1,
        "fetch.max.bytes": 1000,
        "message.max.bytes": 1000,
        "queued.min.messages": 1,
        "queued.max.messages.kbytes": 1,
    }


@contextmanager
def options_explained(named: str = "kafka.options") -> Iterator[None]:
    """Name the option when librdkafka refuses to create a client.

    Parameters
    ----------
    named
        the setting that has the options

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    """
    try:
        yield
    except KafkaException as error:
        reason = error.args[0].str().strip()
        raise SettingsError(f"{named}: {reason}{_nearest_option(reason)}") from error
    # confluent-kafka: of an option that is a function or a table of Python.
    except (AttributeError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{named}: one of the options cannot be given in a settings file: {error}"
        ) from error


def _nearest_option(reason: str) -> str:
    """Return which option was meant, for librdkafka's message about one that it does not know."""
    unknown = _UNKNOWN_OPTION.search(reason)
    close = get_close_matches(unknown[1], COMMON_OPTIONS, n=1) if unknown else []
    return f"; did you mean {close[0]}?" if close else ""


def _without_consumer_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    # librdkafka warns on standard error about consumer properties given to another client.
    return {key: value for key, value in config.items() if not key.startswith(_CONSUMER_ONLY)}
