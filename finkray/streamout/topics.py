"""The topics of streaming out beside those of the filters: progress and schemas, both compacted."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.errors import KafkaUnavailable, SchemaError
from finkray.kafka.consumer import assigned_consumer
from finkray.kafka.errors import finkray_error, is_of_group
from finkray.streamout.compatibility import compatibility_problems

FIRST_ID: Final = 100_000
"""First id of the schemas of messages that finkray sends. LSST's own schemas have lower ids: 100 x
major + minor of their version."""

COMPACTED: Final = {"cleanup.policy": "compact"}

_READ_S: Final = 30.0
_QUEUE_BYTES: Final = 16 * 2**20


def progress_topic(instance: str) -> str:
    """Return the topic of the progress of an instance."""
    return f"finkray_streamout_{instance}"


def schemas_topic(instance: str) -> str:
    """Return the topic of the schemas of an instance."""
    return f"finkray_schemas_{instance}"


def read_to_end(
    config: Mapping[str, Any], topic: str
) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield key and value of the committed messages of a topic with one partition.

    Raises
    ------
    KafkaUnavailable
        if Kafka does not answer in time
    """
    consumer = assigned_consumer(config, queue_bytes=_QUEUE_BYTES, max_message_bytes=_QUEUE_BYTES)
    with closing(consumer):
        try:
            low, _ = consumer.get_watermark_offsets(KafkaPartition(topic, 0), timeout=_READ_S)
        except KafkaException as error:
            raise finkray_error(error, f"{topic} could not be read") from error
        consumer.assign([KafkaPartition(topic, 0, low)])
        while True:
            message = consumer.poll(_READ_S)
            if message is None:
                raise KafkaUnavailable(
                    f"{topic} could not be read to its end, Kafka sent nothing for "
                    f"{_READ_S:.0f} s: are its brokers up?"
                )
            problem = message.error()
            if problem is None:
                yield message.key(), message.value()
            elif problem.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public name
                return
            elif not is_of_group(problem):
                raise finkray_error(problem, f"{topic} could not be read")


class SchemaBook:
    """The schemas of all topics of an instance, each with its id.

    Parameters
    ----------
    records
        key and value of what is in the topic of the schemas
    """

    def __init__(self, records: Iterator[tuple[bytes | None, bytes | None]]) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._texts: dict[int, str] = {}
        self._registries: dict[tuple[str, str], str] = {}
        self._newest: dict[str, str] = {}
        for value in (value for _, value in records if value is not None):
            raw = json.loads(value)
            self._add(raw["id"], raw["subject"], raw["schema"], raw.get("registry", ""))

    def id_of(self, topic: str, text: str, registry: str = "") -> int | None:
        """Return the id of a schema of a topic; None if it has none, or none of that registry."""
        if registry and self._registries.get((topic, text)) != registry:
            return None
        return self._ids.get((topic, text))

    def refuse_incompatible(self, topic: str, text: str) -> None:
        """Raise SchemaError if readers of a schema could not read what is in a topic.

        Raises
        ------
        SchemaError
            names the fields
        """
        if (topic, text) in self._ids or topic not in self._newest:
            return
        problems = compatibility_problems(json.loads(text), json.loads(self._newest[topic]))
        if problems:
            raise SchemaError(
                f"the schema of {topic} cannot change so: {'; '.join(problems[:5])}. Publish the "
                "filter under another name, with another topic"
            )

    def register(
        self, topic: str, text: str, given: tuple[str, int] | None = None
    ) -> tuple[int, bytes, bytes]:
        """Give a new schema an id; return it, and key and value of its record.

        Parameters
        ----------
        topic, text
            the schema
        given
            address of a registry, and the id that it gave the schema; None takes the next free one

        Raises
        ------
        SchemaError
            as `refuse_incompatible`; or the id of the registry has another schema here
        """
        self.refuse_incompatible(topic, text)
        registry, schema_id = given or ("", max([FIRST_ID - 1, *self._texts]) + 1)
        if self._texts.get(schema_id, text) != text:
            raise SchemaError(
                f"{registry} gives the schema of {topic} the id {schema_id}, which another schema "
                "has here since before the registry was used: give the instance another name "
                "(streamout.instance)"
            )
        self._add(schema_id, topic, text, registry)
        value = {"id": schema_id, "subject": topic, "schema": text}
        if registry:
            value["registry"] = registry
        # One schema may be that of several topics, and a registry gives it one id.
        key = f"{schema_id} {topic}" if registry else str(schema_id)
        return schema_id, key.encode(), json.dumps(value).encode()

    def texts(self) -> dict[int, str]:
        """Return the text of each schema by its id."""
        return dict(self._texts)

    def _add(self, schema_id: int, topic: str, text: str, registry: str) -> None:
        self._ids[topic, text] = schema_id
        self._texts[schema_id] = text
        self._registries[topic, text] = registry
        self._newest[topic] = text
