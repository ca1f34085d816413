"""The schema of the messages of a topic, and the encoders of their bytes.

    fields of the packet, in its order     those of the projection, with the packet's types
    finkray                                a record at the end
        topic, partition, offset           where the alert came from
        kind                               `alert`, or `amendment`: services answered later
        filter, filter_version             what it passed
        passed_at                          when it was sent, UTC
        services                           a record for each service; null where it has no result

An Avro record is its fields, one after the other. So the packet's fields are encoded once for all
topics of a projection, the record behind them apart, and a reader that knows only the packet's own
schema still reads a message of the projection `cutouts`: its bytes begin with those that the
survey sent.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa

from finkray.avro.container import encode_bytes, encode_long
from finkray.avro.encode import RecordEncoder
from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError
from finkray.packets.columns import archived_columns
from finkray.streamout.projection import Projection
from finkray.streamout.written_out import written_out
from finkray.surveys import SURVEYS

ABOUT_FIELD: Final = "finkray"
"""Name of the record at the end of a message."""

SOURCE_COLUMNS: Final = ("kafka_topic", "kafka_partition", "kafka_offset")

SERVICE_STATE: Final = ("status", "version", "computed_at")
"""Fields of a service's record before its own."""

Kind = Literal["alert", "amendment"]

_MICROS: Final = {"type": "long", "logicalType": "timestamp-micros"}

_SOURCE_FIELDS: Final = (
    {"name": "topic", "type": "string"},
    {"name": "partition", "type": "int"},
    {"name": "offset", "type": "long"},
)
_SENT_FIELDS: Final = (
    {"name": "kind", "type": "string"},
    {"name": "filter", "type": "string"},
    {"name": "filter_version", "type": "string"},
    {"name": "passed_at", "type": _MICROS},
)

_SCALARS: Final[tuple[tuple[pa.DataType, Any], ...]] = (
    (pa.bool_(), "boolean"),
    (pa.int32(), "int"),
    (pa.int64(), "long"),
    (pa.float32(), "float"),
    (pa.float64(), "double"),
    (pa.string(), "string"),
    (pa.binary(), "bytes"),
    (pa.date32(), {"type": "int", "logicalType": "date"}),
    (pa.timestamp("us", "UTC"), _MICROS),
    (pa.timestamp("ms", "UTC"), {"type": "long", "logicalType": "timestamp-millis"}),
)

Services = Mapping[str, pa.Schema]
"""The columns of each service, by the name of its results."""


@dataclass(frozen=True)
class OutputSchema:
    """The schema of the messages of one writer schema of packets, one projection and services.

    Attributes
    ----------
    packet
        schema of the packets in the archive
    projected
        of the packet's fields that are sent; None if there are none
    services
        of the services whose results are sent; None if there are none
    text
        of the whole message, as JSON
    """

    packet: WriterSchema
    projected: WriterSchema | None
    services: WriterSchema | None
    text: str

    @classmethod
    def of(cls, packet_text: str, projection: Projection, services: Services) -> "OutputSchema":
        """Make the schema of messages.

        Parameters
        ----------
        packet_text
            the writer schema of the packets
        projection
            which of their fields are sent
        services
            the services whose results are added

        Raises
        ------
        SettingsError
            if the packets lack a field of the projection
        SchemaError
            if the packets have a field of the name `finkray`, or the writer does not hold a type
        """
        packet = WriterSchema.from_text(packet_text)
        whole = written_out(json.loads(packet_text))
        fields = {field["name"]: field for field in whole["fields"]}
        if ABOUT_FIELD in fields:
            raise SchemaError(
                f"the packets have a field {ABOUT_FIELD} of their own, so none can be added: leave "
                "it out of the projection by naming the fields that are sent"
            )
        survey = survey_name(packet.arrow)
        names = projection.fields(list(fields), survey)
        kept = [fields[name] for name in names]
        answers = _services_schema(services)
        services_fields = [] if answers is None else [{**answers, "default": None}]
        about = {
            "type": "record",
            "name": "finkray_about",
            "fields": [*_SOURCE_FIELDS, *_SENT_FIELDS, *services_fields],
        }
        fields_sent = [*kept, {"name": ABOUT_FIELD, "type": about}]
        text = json.dumps({**whole, "fields": fields_sent}, separators=(",", ":"))
        WriterSchema.from_text(text)  # refuses what no reader takes
        return cls(
            packet=packet,
            projected=_record(kept),
            services=None if answers is None else _record([answers]),
            text=text,
        )

    @property
    def columns(self) -> list[str]:
        """Columns of the archive that a message is made of."""
        return [*SOURCE_COLUMNS, *self.archived_names]

    @property
    def archived_names(self) -> list[str]:
        """Names in the archive of the packet's fields that are sent."""
        own = self.packet.arrow.names
        archived = archived_columns(self.packet.arrow).names[-len(own) :]
        sent = set() if self.projected is None else set(self.projected.arrow.names)
        return [new for name, new in zip(own, archived, strict=True) if name in sent]


class MessageEncoder:
    """Encodes alerts of the archive as bare Avro records of an output schema.

    Parameters
    ----------
    schema
        of the messages

    Raises
    ------
    SchemaError
        if the columnar writer does not hold a type
    """

    def __init__(self, schema: OutputSchema) -> None:
        self.schema = schema
        self._packet = None if schema.projected is None else RecordEncoder(schema.projected)
        self._services = None if schema.services is None else RecordEncoder(schema.services)

    def packets(self, alerts: pa.Table) -> list[bytes]:
        """Return the packet's fields of each alert: the beginning of each message.

        Parameters
        ----------
        alerts
            rows of one writer schema, as the archive has them, with the columns of the schema

        Raises
        ------
        SchemaError
            if a column is missing, of another type, or null where the schema has none
        """
        if self._packet is None or self.schema.projected is None:
            return [b""] * alerts.num_rows
        names = self.schema.projected.arrow.names
        own = alerts.select(self.schema.archived_names).rename_columns(names)
        return self._packet.encode(own)

    def services(self, answers: pa.Table | None, rows: int) -> list[bytes]:
        """Return the services' part of each alert: the end of each message.

        Parameters
        ----------
        answers
            a column of records, null where there is no result, for each service; see
            `service_record_type`
        rows
            number of alerts
        """
        if self._services is None or self.schema.services is None:
            return [b""] * rows
        promised = self.schema.services.arrow.field("services").type
        columns = [
            pa.nulls(rows, field.type)
            if answers is None
            else answers[field.name].combine_chunks().cast(field.type)
            for field in promised
        ]
        records = pa.StructArray.from_arrays(columns, fields=list(promised))
        return self._services.encode(pa.table({"services": records}))


def source_bytes(alerts: pa.Table) -> list[bytes]:
    """Return where each alert came from, as the record at the end of a message begins."""
    sources = zip(*(alerts[name].to_pylist() for name in SOURCE_COLUMNS), strict=True)
    return [
        encode_bytes(topic.encode()) + encode_long(partition) + encode_long(offset)
        for topic, partition, offset in sources
    ]


def sent_bytes(kind: Kind, filter_name: str, version: str, at: datetime) -> bytes:
    """Return what all messages of a filter in a transaction have in common."""
    micros = round(at.timestamp() * 1_000_000)
    texts = (kind, filter_name, version)
    return b"".join(encode_bytes(text.encode()) for text in texts) + encode_long(micros)


def service_record_type(own: pa.Schema) -> pa.StructType:
    """Return the type of the record of a service in a message."""
    state = [
        pa.field("status", pa.string()),
        pa.field("version", pa.string()),
        pa.field("computed_at", pa.timestamp("us", "UTC")),
    ]
    return pa.struct([*state, *own])


def survey_name(packet: pa.Schema) -> str | None:
    """Return the name of the survey whose packets have this schema; None if it is not known."""
    return next((survey.name for survey in SURVEYS.values() if not survey.missing(packet)), None)


def _record(fields: Sequence[Any]) -> WriterSchema | None:
    if all(field["type"] == "null" for field in fields):
        return None
    record = {"type": "record", "name": "part_of_message", "fields": list(fields)}
    return WriterSchema.from_text(json.dumps(record))


def _services_schema(services: Services) -> dict[str, Any] | None:
    if not services:
        return None
    records = []
    for name, own in services.items():
        state = service_record_type(own)
        fields = [
            {
                "name": field.name,
                "type": ["null", _avro_type(field.type, f"{name}_{field.name}")],
                "default": None,
            }
            for field in state
        ]
        record = {"type": "record", "name": f"service_{name}", "fields": fields}
        records.append({"name": name, "type": ["null", record], "default": None})
    whole = {"type": "record", "name": "finkray_services", "fields": records}
    return {"name": "services", "type": ["null", whole]}


def _avro_type(data_type: pa.DataType, name: str) -> Any:
    for known, avro in _SCALARS:
        if data_type == known:
            return avro
    if pa.types.is_list(data_type):
        return {"type": "array", "items": ["null", _avro_type(data_type.value_type, name)]}
    if pa.types.is_struct(data_type):
        fields = [
            {
                "name": field.name,
                "type": ["null", _avro_type(field.type, f"{name}_{field.name}")],
                "default": None,
            }
            for field in data_type
        ]
        return {"type": "record", "name": name, "fields": fields}
    raise SchemaError(
        f"{name} is of type {data_type}, which has no type in a message: cast it in the service to "
        "one of bool, int32, int64, float32, float64, string, binary, date32 or timestamp"
    )
