"""One alert as an Avro container with the schema of its packet. Runs with the look-ups."""

from datetime import datetime

import pyarrow as pa

from finkray.avro.container import ContainerWriter
from finkray.avro.encode import RecordEncoder
from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError
from finkray.packets.columns import packet_columns
from finkray.reader import Archive
from finkray.storage.schemas import read_schema
from ui.lookups.objects import alert_row, storage_of
from ui.lookups.process import LookupRefused


def alert_avro(
    archive: Archive, topic: str, partition: int, offset: int, at: datetime | None
) -> bytes:
    """Return an alert, with its images, as an Avro container with the schema of its packet.

    Parameters
    ----------
    archive
        The archive.
    topic, partition, offset
        The alert.
    at
        Its Kafka timestamp, which spares a search through all hours; None if it is not known.

    Raises
    ------
    LookupRefused
        The archive does not have it, or not the schema of its packet.
    """
    row = alert_row(archive, topic, partition, offset, at)
    fingerprint = row["schema_fingerprint"][0].as_py() or ""
    text = read_schema(storage_of(archive), fingerprint) if fingerprint else None
    if text is None:
        raise LookupRefused(
            f"the archive has not the schema {fingerprint[:8]} of the packet: see finkray audit",
            404,
        )
    try:
        schema = WriterSchema.from_text(text)
        columns = packet_columns(row, schema.arrow).cast(schema.arrow)
        (record,) = RecordEncoder(schema).encode(columns)
    except (SchemaError, KeyError, pa.ArrowException) as error:
        raise LookupRefused(f"the packet cannot be written with its schema: {error}") from error
    return ContainerWriter(text).wrap(record)
