"""The feeds: the same real alerts repeated, in each of the three wire formats.

The packets are those of the public test data: 498 of ZTF's, of the night of 2018-11-29, and 107 of
LSST's, of 2026-03-10.
"""

import io
import json
import lzma
import tarfile
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import fastavro
from confluent_kafka import Producer

from bench.chains.chain_run import Wire
from finkray.avro.container import Body, Header, find_body, read_header
from sim.broker.kafka import Kafka

ZTF_PACKETS = Path("ztf/ztf_20181129_fink-alert-simulator_498.tar.xz")
LSST_ALERTS = Path("lsst/lsst_v10_0_20260309_107.avro.xz")
LSST_SCHEMA = Path("schemas/lsst/lsst_v10_0_single_file.avsc")
LSST_SCHEMA_ID = 1000

_POLL_S = 0.1
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Feed:
    """Messages with one writer schema.

    Attributes
    ----------
    name
        Name in the tables and on the command line.
    wire
        Wire format of the messages.
    messages
        Some hundred messages, which are sent again and again.
    schema_text
        The writer schema (Avro, JSON).
    what
        One line of description.
    """

    name: str
    wire: Wire
    messages: tuple[bytes, ...]
    schema_text: str
    what: str

    def write_schema(self, folder: Path) -> Path:
        """Write the schema where an archive finds it by its id."""
        file = folder / self.name / f"{LSST_SCHEMA_ID}.avsc"
        file.parent.mkdir(parents=True)
        file.write_text(self.schema_text, encoding="utf-8")
        return file


FEEDS = ("containers", "bare", "lsst")


def read_feed(name: str, data: Path) -> Feed:
    """Read one of the feeds from the folder of the public test data."""
    return _read_lsst(data) if name == "lsst" else _read_ztf(data, bare=name == "bare")


def without_cutouts(feed: Feed) -> Feed:
    """Return ZTF's bare records with nulls in place of the cutouts."""
    schema = fastavro.parse_schema(json.loads(feed.schema_text))
    records = []
    for message in feed.messages:
        alert = fastavro.schemaless_reader(io.BytesIO(message), schema)
        cutouts = {field: None for field in alert if field.startswith("cutout")}
        record = io.BytesIO()
        fastavro.schemaless_writer(record, schema, {**alert, **cutouts})
        records.append(record.getvalue())
    what = "bare records without their cutouts"
    return Feed("small", "bare", tuple(records), feed.schema_text, what)


def _read_ztf(data: Path, *, bare: bool) -> Feed:
    with tarfile.open(data / ZTF_PACKETS) as tar:
        containers = tuple(
            file.read()
            for member in tar
            if member.name.endswith(".avro") and (file := tar.extractfile(member))
        )
    headers = [_expect_type(read_header(packet), Header) for packet in containers]
    if len({header.raw for header in headers}) != 1:
        raise ValueError("the packets have more than one schema; bare records need one for all")
    schema_text = headers[0].schema_text.decode()
    if not bare:
        what = "ZTF's alerts as they come, a container with the schema around each"
        return Feed("containers", "container", containers, schema_text, what)
    records = tuple(
        packet[body.start : body.end]
        for packet, header in zip(containers, headers, strict=True)
        for body in [_expect_type(find_body(packet, len(header.raw)), Body)]
    )
    return Feed("bare", "bare", records, schema_text, "the same records without the containers")


def _read_lsst(data: Path) -> Feed:
    frame = b"\0" + LSST_SCHEMA_ID.to_bytes(4, "big")
    messages = []
    with lzma.open(data / LSST_ALERTS) as file:
        reader = fastavro.reader(file)
        for alert in reader:
            record = io.BytesIO()
            fastavro.schemaless_writer(record, reader.writer_schema, alert)
            messages.append(frame + record.getvalue())
    schema_text = (data / LSST_SCHEMA).read_text(encoding="utf-8")
    return Feed("lsst", "frame", tuple(messages), schema_text, "LSST's alerts in their frames")


def fill(kafka: Kafka, topic: str, feed: Feed, alerts: int, partitions: int) -> float:
    """Make a topic and send this many alerts to it; returns their mean size in bytes."""
    kafka.create_topic(topic, partitions=partitions)
    return send(kafka, topic, feed, alerts, partitions) / alerts


def send(kafka: Kafka, topic: str, feed: Feed, alerts: int, partitions: int) -> int:
    """Send this many alerts to a topic, repeating the messages; returns their bytes."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "linger.ms": 20,
            "queue.buffering.max.kbytes": 262_144,
        }
    )
    size = 0
    for number, message in enumerate(islice(cycle(feed.messages), alerts)):
        while True:
            try:
                producer.produce(topic, message, partition=number % partitions)
                break
            except BufferError:
                producer.poll(_POLL_S)
        producer.poll(0)
        size += len(message)
    if left := producer.flush(120):
        raise RuntimeError(f"{left} messages did not reach Kafka")
    return size


def _expect_type(found: object, expected: type[_Found]) -> _Found:
    if not isinstance(found, expected):
        raise ValueError(f"a packet of the test data is damaged: {found}")  # noqa: TRY004
    return found
