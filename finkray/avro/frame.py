"""Confluent's frame around a bare Avro record, as LSST sends its alerts.

Byte 0, the schema's id in 4 bytes, big-endian, and the record
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop,
"Wire format"). LSST's ids are 100 x major + minor of its schema's version.
"""

from finkray.avro.container import PacketRefused
from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SchemaError

MAGIC = b"\0"
FRAME_BYTES = 5


def read_schema_id(packet: bytes) -> int:
    """Return the id of the schema with which the record in the frame was written.

    Raises
    ------
    PacketRefused
        if the frame ends before its record
    """
    if len(packet) <= FRAME_BYTES:
        raise PacketRefused(
            DeadLetterReason.TRUNCATED, f"A frame of {len(packet)} bytes has no record in it."
        )
    return int.from_bytes(packet[len(MAGIC) : FRAME_BYTES], "big")


def write_frame(schema_id: int, record: bytes) -> bytes:
    """Return the frame around a bare record.

    Raises
    ------
    SchemaError
        if the id does not fit into 4 bytes
    """
    if not 0 <= schema_id < 2**32:
        raise SchemaError(f"the schema's id {schema_id} does not fit into the frame's 4 bytes")
    return MAGIC + schema_id.to_bytes(FRAME_BYTES - len(MAGIC), "big") + record
