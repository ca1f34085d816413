"""Find schemas by their id in a schema registry with Confluent's API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from finkray.errors import SchemaError, SchemaUnavailable, SettingsError
from finkray.packets.schema_parts import as_one_text

CLIENT_LIMITS: Final[Mapping[str, Any]] = {"timeout": 5, "max.retries": 2, "retries.wait.ms": 200}
"""Reading waits for the answer: some seconds, enough for a registry that is being restarted. If a
registry is down for longer, packets that need it become dead letters."""

_NOT_FOUND = 404


def registry_client(config: Mapping[str, Any], setting: str) -> SchemaRegistryClient:
    """Return a client of a schema registry.

    Parameters
    ----------
    config
        properties of confluent-kafka's client, secrets in clear
    setting
        in which the user gives such properties

    Raises
    ------
    SettingsError
        if the client rejects a property
    """
    try:
        return SchemaRegistryClient(dict(config))
    except (ValueError, TypeError, OSError) as error:
        raise SettingsError(f"{setting}: {error}") from error


class SchemaRegistry:
    """A schema registry.

    Parameters
    ----------
    config
        properties of confluent-kafka's client, secrets in clear

    Raises
    ------
    SettingsError
        if the client rejects a property
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._url = config["url"]
        self._client = registry_client({**CLIENT_LIMITS, **config}, "packets.registry_options")

    def __str__(self) -> str:
        return f"the registry {self._url}"

    def find(self, schema_id: int) -> str | None:
        """Return the schema of that id as one text, or None if the registry does not know it.

        Raises
        ------
        SchemaError
            if it is not an Avro schema, or not a valid one
        SchemaUnavailable
            if the registry does not answer, or answers with an error
        """
        try:
            schema = self._client.get_schema(schema_id)
            named_types = dict(self._named_types(schema))
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise SchemaUnavailable(f"{self} answered with an error: {error}") from error
        except Exception as error:  # any kind of the client's HTTP library
            raise SchemaUnavailable(f"{self} does not answer: {error}") from error
        if schema.schema_type != "AVRO":
            raise SchemaError(f"schema {schema_id} is of type {schema.schema_type}, not AVRO")
        return as_one_text(schema.schema_str or "", named_types.get)

    def _named_types(self, schema: Schema) -> Iterator[tuple[str, str]]:
        """Yield the schemas that a schema refers to, by name, at any depth."""
        for reference in schema.references or ():
            if reference.name is None or reference.subject is None or reference.version is None:
                continue
            found = self._client.get_version(reference.subject, reference.version).schema
            yield reference.name, found.schema_str or ""
            yield from self._named_types(found)
