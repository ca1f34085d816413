"""Schemas by their id from a schema registry that speaks Confluent's API."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from finkray.errors import SchemaError, SchemaUnavailable, SettingsError
from finkray.packets.schema_parts import as_one_text

PATIENCE: Final[Mapping[str, Any]] = {"timeout": 5, "max.retries": 2, "retries.wait.ms": 200}
"""The intake waits for the answer: some seconds for a registry that is being restarted, and no
more for one that is down. Its packets become dead letters then."""

_NOT_FOUND = 404


class SchemaRegistry:
    """A registry.

    Parameters
    ----------
    config
        properties of confluent-kafka's client, secrets in clear

    Raises
    ------
    SettingsError
        if the client does not take a property
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._url = config["url"]
        try:
            self._client = SchemaRegistryClient({**PATIENCE, **config})
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(f"packets.registry_options: {error}") from error

    def __str__(self) -> str:
        return f"the registry {self._url}"

    def find(self, schema_id: int) -> str | None:
        """The schema of that id as one text; None if the registry does not know it.

        Raises
        ------
        SchemaError
            if it is not an Avro schema, or not a valid one
        SchemaUnavailable
            if the registry does not answer, or refuses to
        """
        try:
            schema = self._client.get_schema(schema_id)
            parts = dict(self._parts(schema))
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise SchemaUnavailable(f"{self} says: {error}") from error
        except Exception as error:  # any kind of the client's HTTP library
            raise SchemaUnavailable(f"{self} does not answer: {error}") from error
        if schema.schema_type != "AVRO":
            raise SchemaError(f"schema {schema_id} is written in {schema.schema_type}")
        return as_one_text(schema.schema_str or "", parts.get)

    def _parts(self, schema: Schema) -> Iterator[tuple[str, str]]:
        """The schemas that one refers to, by name, at any depth."""
        for reference in schema.references or ():
            if reference.name is None or reference.subject is None or reference.version is None:
                continue
            found = self._client.get_version(reference.subject, reference.version).schema
            yield reference.name, found.schema_str or ""
            yield from self._parts(found)
