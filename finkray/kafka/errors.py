"""Kafka's errors as those of `finkray.errors`, with what a person can do about them."""

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from finkray.errors import (
    FinkrayError,
    KafkaUnavailable,
    MessageRefused,
    ProducerFenced,
    TopicChanged,
)

_LOGIN_HELP = (
    "the login is refused: are kafka.sasl_username and kafka.sasl_password or sasl_password_file "
    'right, and is "sasl.mechanism" the one of the brokers?'
)
_TLS_HELP = (
    "there is no TLS connection: does kafka.options name the brokers' authority, "
    '"ssl.ca.location" = "/path/ca.pem", and are kafka.bootstrap_servers the names that stand in '
    "their certificates?"
)
_RIGHTS_HELP = (
    "the login lacks a right: to read it needs READ and DESCRIBE on the topics, to write WRITE and "
    "DESCRIBE"
)
_TRANSACTIONAL_ID_HELP = (
    "the login lacks a right: to write in transactions it needs WRITE and DESCRIBE on the "
    "transactional id"
)
_SIZE_HELP = (
    'the message is too large: compare its size with the producer\'s "message.max.bytes" and the '
    'topic\'s "max.message.bytes"'
)
SILENCE_HELP: Final = (
    'no broker answers in time: is it busy, or does "security.protocol" not fit, because it wants '
    "TLS or a login and the settings do not, or the other way round?"
)

HELP: Final[Mapping[str, str]] = {
    "_AUTHENTICATION": _LOGIN_HELP,
    "SASL_AUTHENTICATION_FAILED": _LOGIN_HELP,
    "UNSUPPORTED_SASL_MECHANISM": _LOGIN_HELP,
    "_SSL": _TLS_HELP,
    "TOPIC_AUTHORIZATION_FAILED": _RIGHTS_HELP,
    "CLUSTER_AUTHORIZATION_FAILED": _RIGHTS_HELP,
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": _TRANSACTIONAL_ID_HELP,
    "MSG_SIZE_TOO_LARGE": _SIZE_HELP,
    "RECORD_LIST_TOO_LARGE": _SIZE_HELP,
}
"""What a person can do about errors that no retry ends, by Kafka's name of the error."""

_UNREADABLE: Final = frozenset({"_BAD_MSG", "_BAD_COMPRESSION", "_NOT_IMPLEMENTED"})
"""Errors about the content of a record batch: its checksum differs, its data cannot be
decompressed, its format or codec is unknown. librdkafka reports them with the batch's offset."""

_TOPIC_CHANGED: Final = frozenset(
    {"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_ID"}
)
_NO_NAME: Final = frozenset({"TOPIC_EXCEPTION"})
"""A topic cannot have this name: letters, digits, dots, _ and -, at most 249."""

_FENCED: Final = frozenset({"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"})
_REFUSED: Final = frozenset(
    {
        "MSG_SIZE_TOO_LARGE",
        "RECORD_LIST_TOO_LARGE",
        "INVALID_MSG",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
    }
)


def finkray_error(error: KafkaError | KafkaException, what: str = "") -> FinkrayError:
    """Return the error of finkray's tree for one of Kafka, with Kafka's own text.

    Parameters
    ----------
    error
        as librdkafka returned it or confluent-kafka raised it
    what
        the beginning of the message: what failed
    """
    prefix = f"{what}: " if what else ""
    cause = error if isinstance(error, KafkaError) else error.args[0] if error.args else None
    if not isinstance(cause, KafkaError):
        return KafkaUnavailable(f"{prefix}Kafka says: {error}")
    name = cause.name()
    text = prefix + (explain(cause) if name in HELP else f"Kafka says: {explain(cause)}")
    if name in _TOPIC_CHANGED:
        return TopicChanged(text)
    if name in _NO_NAME:
        return FinkrayError(text)
    if name in _FENCED:
        return ProducerFenced(text)
    return MessageRefused(text) if name in _REFUSED else KafkaUnavailable(text)


def is_unreadable(error: KafkaError) -> bool:
    """Return whether the error says that a record batch cannot be read."""
    return error.name() in _UNREADABLE


def is_of_group(error: KafkaError) -> bool:
    """Return whether the login lacks a right on the consumer group.

    The client looks for the group's coordinator, which a consumer of assigned partitions does not
    use.
    """
    return error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def explain(error: KafkaError) -> str:
    """Return Kafka's own text, and what to do where that is known."""
    text = f"{error.str()} ({error.name()})"
    return f"{HELP[error.name()]} Kafka says: {text}" if error.name() in HELP else text
