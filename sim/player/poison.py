"""Make broken packets from good ones, with the reasons for which the archive should refuse each.

The form depends on the good packet: a container (ZTF) or a Confluent frame (LSST). A frame has no
sync marker; instead of a wrong marker it gets a schema id that no schema source knows.
"""

import io
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import fastavro

from finkray.avro.container import (
    SYNC_BYTES,
    PacketRefused,
    encode_header,
    encode_long,
    find_body,
    read_header,
    read_long,
)
from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA, DeadLetterReason
from sim.lsst.schema import Version, schema_text

_FRAME_BYTES = 5
_UNKNOWN_ID = 65_535
_HUGE = 1 << 50
_BOMB_BYTES = 1 << 28
_VERSIONS: Final[Mapping[int, Version]] = {1000: "10.0", 1100: "11.0"}


class Poison(NamedTuple):
    """A broken packet, and the dead-letter reasons that are correct for it."""

    data: bytes | None
    reasons: tuple[DeadLetterReason, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a good packet: the bytes before the record, the record, the bytes after it."""

    schema: Any
    before: bytes
    record: bytes
    after: bytes

    @property
    def is_frame(self) -> bool:
        return not self.after

    def around(self, record: bytes) -> bytes:
        """Return a packet with this record."""
        if self.is_frame:
            return self.before + record
        return self.before + encode_long(1) + encode_long(len(record)) + record + self.after


def is_good(packet: bytes) -> bool:
    """Whether the packet can be parsed: a packet that is broken already is not poisoned."""
    try:
        _parse(packet)
    except (PacketRefused, KeyError, IndexError, ValueError, fastavro.schema.SchemaParseException):
        return False
    return True


def poisoned(kind: str, packet: bytes, other_survey: bytes, rng: random.Random) -> Poison:
    """Break a good packet.

    Parameters
    ----------
    kind
        One of `KINDS`.
    packet
        A container, or a frame of one of the simulator's schemas.
    other_survey
        A good packet of another survey.
    rng
        Decides where it breaks.
    """
    if kind == "other_survey":
        # Without its schema, the survey of a frame is not known.
        return Poison(other_survey, (DeadLetterReason.OTHER_SURVEY, *WAITING_FOR_A_SCHEMA))
    return _KINDS[kind](_parse(packet), rng)


def oversized(packet: bytes, size_bytes: int) -> bytes:
    """Return the alert with zeros after its last cutout, so that it has at least this size."""
    parts = _parse(packet)
    record: Any = fastavro.schemaless_reader(io.BytesIO(parts.record), parts.schema)
    if parts.is_frame:
        record["cutoutTemplate"] = (record["cutoutTemplate"] or b"") + bytes(size_bytes)
    else:
        cutout = record["cutoutDifference"] or {"fileName": "none", "stampData": b""}
        cutout["stampData"] += bytes(size_bytes)
        record["cutoutDifference"] = cutout
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parts.schema, record)
    return parts.around(out.getvalue())


def _parse(packet: bytes) -> _Parts:
    if packet.startswith(b"\x00"):
        schema = _schema(schema_text(_VERSIONS[int.from_bytes(packet[1:_FRAME_BYTES], "big")]))
        return _Parts(schema, packet[:_FRAME_BYTES], packet[_FRAME_BYTES:], b"")
    header = read_header(packet)
    body = find_body(packet, len(header.raw))
    sync = packet[len(header.raw) : len(header.raw) + SYNC_BYTES]
    schema = _schema(header.schema_text.decode())
    return _Parts(schema, header.raw + sync, packet[body.start : body.end], sync)


@cache
def _schema(text: str) -> Any:
    return fastavro.parse_schema(json.loads(text))


def _truncated(parts: _Parts, rng: random.Random) -> Poison:
    whole = parts.around(parts.record)
    # The beginning stays, so that the format is still recognised.
    keep = rng.uniform(0.1, 0.95)
    size = len(parts.before) + int(keep * (len(whole) - len(parts.before)))
    return Poison(
        whole[:size],
        (DeadLetterReason.BAD_RECORD,) if parts.is_frame else (DeadLetterReason.TRUNCATED,),
    )


def _wrong_sync(parts: _Parts, rng: random.Random) -> Poison:
    if parts.is_frame:
        frame = b"\x00" + _UNKNOWN_ID.to_bytes(4, "big")
        return Poison(frame + parts.record, WAITING_FOR_A_SCHEMA)
    packet = parts.around(parts.record)
    return Poison(packet[:-SYNC_BYTES] + rng.randbytes(SYNC_BYTES), (DeadLetterReason.BAD_SYNC,))


def _wrong_union(parts: _Parts, rng: random.Random) -> Poison:  # noqa: ARG001 - as the others
    position = _first(parts, "union")
    record = parts.record
    return Poison(
        parts.around(record[:position] + b"\x7e" + record[position + 1 :]),
        (DeadLetterReason.BAD_RECORD,),
    )


def _declared_size(parts: _Parts, rng: random.Random) -> Poison:  # noqa: ARG001 - as the others
    """Return a record with a string whose declared size is a petabyte."""
    position = _first(parts, "string")
    _, end = read_long(parts.record, position)
    return Poison(
        parts.around(parts.record[:position] + encode_long(_HUGE) + parts.record[end:]),
        (DeadLetterReason.BAD_RECORD,),
    )


def _deflate_bomb(parts: _Parts, rng: random.Random) -> Poison:
    text = json.dumps({k: v for k, v in parts.schema.items() if not k.startswith("__")})
    meta = {"avro.codec": b"deflate", "avro.schema": text.encode()}
    sync, block = rng.randbytes(SYNC_BYTES), _deflated_zeros()
    packet = [encode_header(meta), sync, encode_long(1), encode_long(len(block)), block, sync]
    return Poison(b"".join(packet), (DeadLetterReason.TOO_LARGE, DeadLetterReason.BAD_COMPRESSION))


@cache
def _deflated_zeros() -> bytes:
    """Return a quarter of a gigabyte of zeros, compressed to a quarter of a megabyte."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    pieces = [compressor.compress(piece) for _ in range(_BOMB_BYTES // len(piece))]
    return b"".join([*pieces, compressor.flush()])


def _text(_: _Parts, rng: random.Random) -> Poison:
    text = f"Dear broker, this is no alert, and its number is {rng.randrange(1_000_000)}.\n"
    return Poison(text.encode(), (DeadLetterReason.NOT_AVRO,))


_KINDS: Final[Mapping[str, Callable[[_Parts, random.Random], Poison]]] = {
    "truncated": _truncated,
    "wrong_sync": _wrong_sync,
    "wrong_union": _wrong_union,
    "empty": lambda *_: Poison(b"", (DeadLetterReason.EMPTY,)),
    "tombstone": lambda *_: Poison(None, (DeadLetterReason.TOMBSTONE,)),
    "text": _text,
    "declared_size": _declared_size,
    "deflate_bomb": _deflate_bomb,
}
KINDS: Final = (*_KINDS, "other_survey")


class _Found(Exception):
    pass


def _first(parts: _Parts, wanted: str) -> int:
    """Return the position at which the first value of a type begins in the record."""
    position = 0

    def skip(schema: Any) -> None:
        nonlocal position
        name = "union" if isinstance(schema, list) else schema
        name = schema["type"] if isinstance(schema, dict) else name
        if name == wanted:
            raise _Found
        if name == "union":
            branch, position = read_long(parts.record, position)
            skip(schema[branch])
        elif name == "record":
            for field in schema["fields"]:
                skip(field["type"])
        elif name in ("string", "bytes"):
            size, start = read_long(parts.record, position)
            position = start + size
        elif name in ("int", "long"):
            _, position = read_long(parts.record, position)
        elif name != "null":
            position += {"boolean": 1, "float": 4, "double": 8}[name]

    try:
        skip(parts.schema)
    except _Found:
        return position
    raise ValueError(f"no {wanted} in the record")
