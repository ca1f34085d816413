"""Inspect the bytes of one dead letter: their wire format, and the fields that decode."""

import io
import json
from typing import Any, NamedTuple

import fastavro

from finkray.avro.codec import decompress
from finkray.avro.container import MAGIC, SYNC_BYTES, Header, PacketRefused, read_header, read_long
from finkray.avro.frame import FRAME_BYTES, read_schema_id
from finkray.avro.frame import MAGIC as FRAME_MAGIC
from finkray.avro.parse import parse_writer_schema
from finkray.claim import TopicPartition
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage

MOST_RECORD_BYTES = 4 * 1024 * 1024
"""Limit for decompressing a record for inspection."""

_SCALARS = (str, int, float, bool, type(None))


class Inspection(NamedTuple):
    """The result of an inspection.

    Attributes
    ----------
    wire_format
        for people
    schema_name
        of the writer schema, if it is known
    now
        why it does not decode now, for people; None if it decodes
    fields
        the fields that decode, up to the first list or damage: numbers and texts as they are,
        bytes by their size
    """

    wire_format: str
    schema_name: str | None
    now: str | None
    fields: dict[str, Any]


def inspect_message(message: RawMessage, source: TopicPartition, decoder: Decoder) -> Inspection:
    """Inspect a message that did not decode when it was received.

    Parameters
    ----------
    message
        the message, with the bytes that were kept
    source
        its partition
    decoder
        by the current settings
    """
    value = message.value or b""
    decoded = decoder.decode([message], source)
    if not decoded.rejects:
        (table,) = decoded.tables
        (row,) = table.table.to_pylist()
        return Inspection(_wire_format(value), _name(table.schema.text), None, _brief(row))
    (reject,) = decoded.rejects
    text, record = None, b""
    if value.startswith(MAGIC):
        try:
            header = read_header(value)
        except PacketRefused:
            return Inspection(_wire_format(value), None, reject.detail, {})
        text, record = header.schema_text.decode(errors="replace"), _record(value, header)
    elif value.startswith(FRAME_MAGIC):
        text = decoder.schema_text(value, source)
        record = value[FRAME_BYTES:]
    fields = {} if text is None else _first_fields(text, record)
    return Inspection(_wire_format(value), _name(text), reject.detail, _brief(fields))


def hex_head(value: bytes, most_bytes: int = 64) -> list[str]:
    """Return the first bytes as lines of hexadecimal digits and characters."""
    lines = []
    for at in range(0, min(len(value), most_bytes), 16):
        line = value[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{at:08x}  {line.hex(' '):<47}  |{text}|")
    return lines


def _wire_format(value: bytes) -> str:
    if not value:
        return "nothing"
    if value.startswith(MAGIC):
        try:
            return f"an Avro container, codec {read_header(value).codec}"
        except PacketRefused:
            return "an Avro container with a damaged header"
    if value.startswith(FRAME_MAGIC) and len(value) > FRAME_BYTES:
        return f"a Confluent frame, schema {read_schema_id(value)}"
    return "neither an Avro container nor a Confluent frame"


def _record(value: bytes, header: Header) -> bytes:
    """Return the bytes of the first record of a container, as far as they exist."""
    try:
        count, position = read_long(value, len(header.raw) + SYNC_BYTES)
        size, start = read_long(value, position)
        while count == 0 and size >= 0 and start + size + SYNC_BYTES < len(value):
            count, position = read_long(value, start + size + SYNC_BYTES)
            size, start = read_long(value, position)
        record = value[start : start + max(0, size)]
        if header.codec == "null":
            return record
        return bytes(decompress(header.codec, record, MOST_RECORD_BYTES))
    except PacketRefused:
        return b""


def _first_fields(text: str, record: bytes) -> dict[str, Any]:
    """Decode the fields of the record before the first that has a list or does not decode.

    A list is not decoded: it may claim to have 2^60 items of no bytes each.
    """
    try:
        schema = json.loads(text)
        fields = schema["fields"]
    except (ValueError, TypeError, KeyError):
        return {}
    decoded: dict[str, Any] = {}
    for count in range(1, len(fields) + 1):
        if _has_list(fields[count - 1]["type"]):
            break
        try:
            prefix = parse_writer_schema({**schema, "fields": fields[:count]})
            decoded = dict(fastavro.schemaless_reader(io.BytesIO(record), prefix))
        except Exception:  # noqa: BLE001 - with any error this field does not decode
            break
    return decoded


def _has_list(avro_type: Any) -> bool:
    if isinstance(avro_type, list):
        return any(map(_has_list, avro_type))
    if isinstance(avro_type, dict):
        if avro_type.get("type") in ("array", "map"):
            return True
        return any(_has_list(field.get("type")) for field in avro_type.get("fields", ())) or (
            isinstance(avro_type.get("type"), dict | list) and _has_list(avro_type["type"])
        )
    return False


def _name(text: str | None) -> str | None:
    try:
        schema = json.loads(text or "")
        return str(schema.get("name")) if isinstance(schema, dict) else None
    except ValueError:
        return None


def _brief(value: Any) -> Any:
    """Return the value with bytes replaced by their size and lists by their length."""
    if isinstance(value, dict):
        return {name: _brief(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list):
        return f"{len(value)} items"
    return value if isinstance(value, _SCALARS) else str(value)
