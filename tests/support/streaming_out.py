"""An archive whose filters are published on a real Kafka, and a consumer that counts."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.avro.frame import FRAME_BYTES, read_schema_id
from finkray.kafka.consumer import assigned_consumer
from finkray.kafka.topics import partition_count
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.engine import Streamout
from finkray.streamout.filter_process import FilterPool
from finkray.streamout.projection import Projection
from finkray.streamout.published import PublishedFilter
from finkray.streamout.publishing import publish_filter
from finkray.streamout.sender import read_schemas
from finkray.streamout.wire import Wire
from tests.support.real_archives import RealArchive

BRIGHT = "def bright(magpsf):\n    return magpsf < 18\n"
"""A filter that about a half of ZTF's real alerts pass."""

EVEN = 'NEEDS = ["double"]\ndef even(double__double):\n    return double__double % 4 == 0\n'
"""A filter that waits for the results of `tests.support.services.Double`."""


def run_to_end(engine: Streamout) -> None:
    """Send until there is nothing more to do."""
    while engine.step():
        pass


@dataclass
class OutStream:
    """An archive, a Kafka and an instance of streaming out.

    Attributes
    ----------
    archive
        with real alerts
    folder
        for files of filters
    config
        of Kafka's clients
    settings
        of streaming out
    pool
        in which filters are loaded when they are published
    """

    archive: RealArchive
    folder: Path
    config: dict[str, Any]
    settings: StreamoutSettings
    pool: FilterPool
    _schemas: dict[int, Any] = field(default_factory=dict)

    def settings_file(self) -> Path:
        """Write the settings of this instance, and return the file."""
        path = self.folder / "finkray.toml"
        path.write_text(
            f'[kafka]\nbootstrap_servers = "{self.config["bootstrap.servers"]}"\n'
            f'[archive]\nuri = "{self.archive.storage.uri}"\n'
            f'[streamout]\ninstance = "{self.settings.instance}"\nneeds_s = 0.1\n'
        )
        return path

    def topic(self, name: str) -> str:
        """Return a name of a topic that no other test has."""
        return f"{self.settings.instance}_{name}"

    def publish(
        self,
        name: str,
        text: str,
        projection: str = "lite",
        wire: Wire = Wire.CONFLUENT,
        suffix: str = "py",
        quota_per_h: int | None = None,
    ) -> PublishedFilter:
        """Publish the filter with that text under that name."""
        path = self.folder / f"{name}.{suffix}"
        path.write_text(text)
        return publish_filter(
            self.archive.storage,
            self.config,
            self.settings,
            self.pool,
            path,
            topic=self.topic(name),
            projection=Projection.from_text(projection),
            wire=wire,
            quota_per_h=quota_per_h,
        )

    def messages(self, topic: str) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield partition, key and value of all committed messages of a topic."""
        for partition in range(partition_count(self.config, topic) or 0):
            reader: Consumer = assigned_consumer(
                self.config, queue_bytes=16 * 2**20, max_message_bytes=16 * 2**20
            )
            with closing(reader) as consumer:
                consumer.assign([KafkaPartition(topic, partition, 0)])
                for message in iter(lambda: consumer.poll(30), None):
                    if message.error() is not None:
                        break
                    yield partition, message.key(), message.value()

    def alerts(self, topic: str, kind: str = "alert") -> list[dict[str, Any]]:
        """Return all committed alerts of a topic in Confluent's frame, as fastavro reads them."""
        found = (self.read(value) for _, _, value in self.messages(topic))
        return [alert for alert in found if alert["finkray"]["kind"] == kind]

    def read(self, value: bytes) -> dict[str, Any]:
        """Return the alert in a frame."""
        schema_id = read_schema_id(value)
        if schema_id not in self._schemas:
            texts = read_schemas(self.config, self.settings.instance).texts()
            self._schemas = {
                each: fastavro.parse_schema(json.loads(text)) for each, text in texts.items()
            }
        record: Any = fastavro.schemaless_reader(
            io.BytesIO(value[FRAME_BYTES:]), self._schemas[schema_id], None
        )
        return dict(record)

    def sources(self, topic: str, kind: str = "alert") -> Counter[tuple[str, int, int]]:
        """Return how often each alert is in a topic, by where it came from."""
        return Counter(map(source_of, self.alerts(topic, kind)))


def source_of(alert: Mapping[str, Any]) -> tuple[str, int, int]:
    """Return topic, partition and offset that an alert came from."""
    about = alert["finkray"]
    return about["topic"], about["partition"], about["offset"]
