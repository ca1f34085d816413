"""Decompress the block of a container, never beyond a limit.

The codecs are those of the Avro specification and of fastavro. All come with Python and pyarrow.
Each is used so that decompression of a small block that would become gigabytes stops at the limit.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from finkray.avro.container import PacketRefused
from finkray.dead_letter_reason import DeadLetterReason

XZ_MEMORY_BYTES = 256 * 1024 * 1024
"""Memory limit of the xz decoder: the strongest preset needs 65 MB."""


Data = bytes | memoryview


class _TooLarge(ValueError):
    pass


def decompress(codec: str, data: Data, limit_bytes: int) -> bytes:
    """Decompress `data` with the codec of that name.

    Raises
    ------
    PacketRefused
        if the codec is not known, or the data are damaged or become larger than the limit
    """
    decoder = _CODECS.get(codec)
    if decoder is None:
        known = ", ".join(_CODECS)
        raise PacketRefused(
            DeadLetterReason.UNKNOWN_CODEC, f"The codec {codec[:40]!r} is none of null, {known}."
        )
    try:
        return decoder(data, limit_bytes)
    except _TooLarge:
        sizes = f"{len(data)} compressed bytes become more than {limit_bytes}"
        raise PacketRefused(DeadLetterReason.TOO_LARGE, f"The {sizes} bytes.") from None
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = str(error) or type(error).__name__
        raise PacketRefused(
            DeadLetterReason.BAD_COMPRESSION, f"The {codec} data are damaged: {reason}."
        ) from None


def _deflate(data: Data, limit: int) -> bytes:
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    # fastavro writes zlib's format without its first two bytes and its last: the rest of the
    # checksum follows the data.
    return _whole(decoder, decoder.decompress(data, limit + 1), limit, may_follow=3)


def _bzip2(data: Data, limit: int) -> bytes:
    decoder = bz2.BZ2Decompressor()
    return _whole(decoder, decoder.decompress(data, limit + 1), limit)


def _xz(data: Data, limit: int) -> bytes:
    decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)
    return _whole(decoder, decoder.decompress(data, limit + 1), limit)


def _whole(decoder: Any, out: bytes, limit: int, may_follow: int = 0) -> bytes:
    if len(out) > limit:
        raise _TooLarge
    if not decoder.eof:
        raise EOFError("they end too early")
    if len(decoder.unused_data) > may_follow:
        raise ValueError(f"{len(decoder.unused_data)} bytes follow them")
    return out


def _zstandard(data: Data, limit: int) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        out: bytes = stream.read(limit + 1)
    if len(out) > limit:
        raise _TooLarge
    return out


def _snappy(data: Data, limit: int) -> bytes:
    """Decompress Snappy's raw format; the last 4 bytes are the CRC-32 of the decompressed data."""
    packed, checksum = data[:-4], data[-4:]
    out = _sized("snappy", packed, _snappy_size(packed), limit)
    if zlib.crc32(out).to_bytes(4, "big") != checksum:
        raise ValueError("the checksum is wrong")
    return out


def _snappy_size(packed: Data) -> int:
    size = 0
    for i, byte in enumerate(packed[:5]):
        size |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return size
    raise EOFError("they do not begin with their size")


def _lz4(data: Data, limit: int) -> bytes:
    """Decompress LZ4's block format behind the size in 4 bytes, as fastavro writes it."""
    if len(data) < 4:
        raise EOFError("they do not begin with their size")
    return _sized("lz4_raw", data[4:], int.from_bytes(data[:4], "little"), limit)


def _sized(codec: str, packed: Data, size: int, limit: int) -> bytes:
    if size > limit:
        raise _TooLarge
    out: bytes = pa.Codec(codec).decompress(packed, size, asbytes=True)
    if len(out) != size:
        raise ValueError(f"they become {len(out)} bytes, not {size}")
    return out


_CODECS: Mapping[str, Callable[[Data, int], bytes]] = {
    "deflate": _deflate,
    "bzip2": _bzip2,
    "xz": _xz,
    "snappy": _snappy,
    "zstandard": _zstandard,
    "lz4": _lz4,
}
