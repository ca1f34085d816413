"""Read and write Avro object containers (specification 1.11, "Object Container Files").

An alert packet is a container with one block of one record: `Obj` and byte 1, a map of metadata
with the schema and the codec, 16 bytes of sync marker, then the block: count of records, size,
data, and the sync marker again. A size that a packet gives is used only after it was compared with
the bytes that are there.
"""

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from finkray.dead_letter_reason import DeadLetterReason

MAGIC = b"Obj\x01"
SYNC_BYTES = 16

MAX_EMPTY_BLOCKS = 1000
"""Most blocks without a record in a packet. Each takes 18 bytes and 2 us: a packet of 8 MiB full of
them would take as long as 10 000 alerts."""


class PacketRefused(ValueError):
    """A packet cannot be archived, with the reason; `finkray.packets.decode` makes it a reject.

    Attributes
    ----------
    reason
        the code of the dead letter
    detail
        a sentence for people
    """

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Header(NamedTuple):
    """The part of a container that is the same in all packets of one source.

    `raw` are its bytes from the magic to the end of the metadata, without the sync marker, which
    differs between containers.
    """

    raw: bytes
    codec: str
    schema_text: bytes


class Body(NamedTuple):
    """The position of the data of the block with the record: from `start` up to `end`.

    `empty` has start and end of the data of each block without a record: a writer leaves such
    blocks when it is flushed, and with some codecs their data are not of size 0.
    """

    start: int
    end: int
    empty: tuple[tuple[int, int], ...] = ()


def read_long(data: bytes, position: int) -> tuple[int, int]:
    """Read a zigzag varint; return it and the position after it.

    Raises
    ------
    PacketRefused
        if the data end within the number, or it has more than 64 bits
    """
    value = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise PacketRefused(
                    DeadLetterReason.BAD_NUMBER, f"The number before byte {position} has no end."
                )
    except IndexError:
        raise PacketRefused(
            DeadLetterReason.TRUNCATED, f"The {len(data)} bytes end before the record."
        ) from None
    return (value >> 1) ^ -(value & 1), position


def encode_long(value: int) -> bytes:
    """Encode an Avro int or long: a zigzag varint."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_bytes(value: bytes) -> bytes:
    """Encode Avro bytes, or a string that is in UTF-8 already: the size and the bytes."""
    return encode_long(len(value)) + value


def encode_header(metadata: Mapping[str, bytes]) -> bytes:
    """Encode the beginning of a container up to the sync marker; the order of keys is kept."""
    pairs = b"".join(
        encode_bytes(key.encode()) + encode_bytes(value) for key, value in metadata.items()
    )
    return MAGIC + encode_long(len(metadata)) + pairs + b"\0"


class ContainerWriter:
    """Writes bare records of one schema, each as a container of its own.

    Parameters
    ----------
    schema_text
        the writer schema (Avro, JSON), which is in each container
    """

    def __init__(self, schema_text: str) -> None:
        metadata = {"avro.codec": b"null", "avro.schema": schema_text.encode()}
        self._sync = secrets.token_bytes(SYNC_BYTES)
        self._head = encode_header(metadata) + self._sync + encode_long(1)

    def wrap(self, record: bytes) -> bytes:
        """Return a container with this record alone, not compressed."""
        return b"".join([self._head, encode_long(len(record)), record, self._sync])


def read_header(packet: bytes) -> Header:
    """Read the metadata at the beginning of a container.

    Raises
    ------
    PacketRefused
        if the packet is not a container or its header is damaged
    """
    if not packet.startswith(MAGIC):
        raise PacketRefused(
            DeadLetterReason.NOT_AVRO,
            f"The packet begins with {packet[:16]!r}, not with {MAGIC!r}.",
        )
    metadata: dict[bytes, bytes] = {}
    count, position = read_long(packet, len(MAGIC))
    while count != 0:
        if count < 0:  # then the size in bytes of this part of the map follows
            _, position = read_long(packet, position)
        for _ in range(abs(count)):
            key, position = _read_bytes(packet, position)
            metadata[key], position = _read_bytes(packet, position)
        count, position = read_long(packet, position)
    if b"avro.schema" not in metadata:
        raise PacketRefused(DeadLetterReason.NO_SCHEMA, "The header of the packet has no schema.")
    codec = metadata.get(b"avro.codec", b"null").decode("ascii", "replace")
    return Header(packet[:position], codec, metadata[b"avro.schema"])


def _read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    size, start = read_long(data, position)
    end = start + size
    if size < 0:
        raise PacketRefused(
            DeadLetterReason.BAD_NUMBER, f"Byte {position} says that {size} bytes follow."
        )
    if end > len(data):
        raise PacketRefused(
            DeadLetterReason.TRUNCATED,
            f"The header reaches to byte {end}, and the packet has {len(data)}.",
        )
    return data[start:end], end


def find_body(packet: bytes, header_bytes: int) -> Body:
    """Find the record behind a header of that size, and check everything around it.

    Blocks without a record before and after it are skipped.

    Raises
    ------
    PacketRefused
        if there is not exactly one complete record, or something else follows it
    """
    sync_end = header_bytes + SYNC_BYTES
    sync = packet[header_bytes:sync_end]
    empty, block = _empty_blocks(packet, sync_end, sync)
    if block == len(packet):
        detail = "Nothing follows the header." if not empty else "All blocks are empty."
        raise PacketRefused(DeadLetterReason.NO_RECORD, detail)
    count, position = read_long(packet, block)
    size, start = read_long(packet, position)
    end = start + size
    packet_end = end + SYNC_BYTES
    if count != 1:
        reason = DeadLetterReason.SEVERAL_RECORDS if count > 1 else DeadLetterReason.NO_RECORD
        raise PacketRefused(reason, f"There are {count} records in a packet for one alert.")
    if size < 0:
        raise PacketRefused(
            DeadLetterReason.BAD_NUMBER, f"The size of the record is given as {size} bytes."
        )
    if packet_end > len(packet):
        raise PacketRefused(
            DeadLetterReason.TRUNCATED,
            f"The packet has {len(packet)} bytes; by its headers it should have {packet_end}.",
        )
    if packet[end:packet_end] != sync:
        raise PacketRefused(
            DeadLetterReason.BAD_SYNC, "The marker behind the record is not that of the header."
        )
    if packet_end < len(packet):
        empty_after, packet_end = _empty_blocks(packet, packet_end, sync)
        empty += empty_after
    if packet_end < len(packet):
        raise PacketRefused(
            DeadLetterReason.TRAILING_BYTES, f"{len(packet) - packet_end} bytes follow the record."
        )
    return Body(start, end, empty)


def _empty_blocks(
    packet: bytes, position: int, sync: bytes
) -> tuple[tuple[tuple[int, int], ...], int]:
    """Return start and end of the data of each empty block from `position` on, and their end."""
    blocks: list[tuple[int, int]] = []
    while packet[position : position + 1] == b"\0" and len(blocks) < MAX_EMPTY_BLOCKS:
        try:
            size, start = read_long(packet, position + 1)
        except PacketRefused:
            break
        end = start + size
        if size < 0 or packet[end : end + SYNC_BYTES] != sync:
            break
        blocks.append((start, end))
        position = end + SYNC_BYTES
    return tuple(blocks), position
