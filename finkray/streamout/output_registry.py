"""The schema registry of a site, in which the schemas of topics of filters are registered."""

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryError

from finkray.errors import SchemaError, SchemaUnavailable
from finkray.packets.schema_registry import registry_client

CLIENT_LIMITS: Final[Mapping[str, Any]] = {"timeout": 3, "max.retries": 0}
"""A transaction waits for the answer, and Kafka ends one that takes 10 s. What failed is tried
again with the next transaction."""

_NOT_FOUND: Final = 404
_REFUSED: Final = (409, 422)
"""The schema is not compatible with an older one, or the registry takes it for invalid."""


class OutputRegistry:
    """A schema registry with Confluent's API. It gives a schema that it knows the id that it has.

    Parameters
    ----------
    config
        properties of confluent-kafka's client, secrets in clear

    Attributes
    ----------
    url
        its address

    Raises
    ------
    SettingsError
        if the client rejects a property
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.url: str = config["url"]
        self._client = registry_client({**CLIENT_LIMITS, **config}, "streamout.registry_options")

    def __str__(self) -> str:
        return f"the registry {self.url}"

    def refuse_incompatible(self, topic: str, text: str) -> None:
        """Raise SchemaError if the registry would not take a schema for the values of a topic.

        Raises
        ------
        SchemaError
            says what the registry says
        SchemaUnavailable
            if the registry does not answer, or answers with an error
        """
        subject = subject_of(topic)
        try:
            compatible = self._client.test_compatibility(subject, Schema(text, "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return  # the subject has no schema yet
            raise self._error(error, subject) from error
        except Exception as error:  # any kind of the client's HTTP library
            raise self._error(error, subject) from error
        if not compatible:
            raise SchemaError(
                f"the schema of {topic} cannot change so: {self} takes it for incompatible with "
                f"that of {subject}. Publish the filter under another name, with another topic"
            )

    def register(self, topic: str, text: str) -> int:
        """Return the id of a schema of the values of a topic, which is registered if it is new.

        Raises
        ------
        SchemaError
            if the registry refuses the schema
        SchemaUnavailable
            if the registry does not answer, or answers with an error
        """
        subject = subject_of(topic)
        try:
            return int(self._client.register_schema(subject, Schema(text, "AVRO")))
        except Exception as error:  # any kind of the client's HTTP library
            raise self._error(error, subject) from error

    def _error(self, error: Exception, subject: str) -> SchemaError | SchemaUnavailable:
        """Return what the error of a request means."""
        if not isinstance(error, SchemaRegistryError):
            return SchemaUnavailable(f"{self} does not answer: {error}")
        if error.http_status_code in _REFUSED:
            return SchemaError(f"{self} refuses the schema of {subject}: {error}")
        return SchemaUnavailable(f"{self} answered with an error: {error}")


def subject_of(topic: str) -> str:
    """Return the subject of the values of a topic, as Confluent's serialisers name it."""
    return f"{topic}-value"
