"""Read messages to play from files: containers as they are, or divided, or in Confluent's frame.

A container with one record is one message, byte for byte. One with several records becomes as many
containers with one record each. LSST's alerts are on its topics in frames, which name the schema by
an id, so the record of each of its containers is put into one.
"""

import bz2
import gzip
import io
import itertools
import json
import logging
import lzma
import os
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fastavro

from finkray.avro.codec import decompress
from finkray.avro.container import (
    SYNC_BYTES,
    ContainerWriter,
    Header,
    PacketRefused,
    read_header,
    read_long,
)
from finkray.avro.frame import MAGIC as FRAME_MAGIC
from finkray.avro.frame import write_frame
from finkray.avro.parse import parse_writer_schema
from finkray.avro.schema import WriterSchema
from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SchemaError, SettingsError
from finkray.surveys import SURVEYS
from finkray.whole_file import whole_file

_LOG = logging.getLogger(__name__)

_TARS: Final = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_CONTAINERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    ".avro": lambda data: data,
    ".avro.gz": gzip.decompress,
    ".avro.xz": lzma.decompress,
    ".avro.bz2": bz2.decompress,
}
"""Endings of the names of container files, in any case, and how they are unpacked."""

_MOST_NAMED: Final = 5
_MOST_BLOCK_BYTES: Final = 2**31
_FRAMED_SURVEY: Final = "lsst"
_LSST_VERSION: Final = re.compile(r"\bv(\d+)_(\d+)\b")


class LeftOut:
    """The files and records that are not played, with the reason; named in the log at the end."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Note that something of the file of that name is not played."""
        self._counts[reason] += 1
        names = self._names.setdefault(reason, [])
        if len(names) < _MOST_NAMED and name not in names:
            names.append(name)

    def __str__(self) -> str:
        return "; ".join(
            f"{count} x {reason} ({', '.join(self._names[reason])}"
            f"{', ...' if count > len(self._names[reason]) else ''})"
            for reason, count in self._counts.items()
        )


def survey_of_files(path: Path) -> str | None:
    """Return the survey of the first alert below a path; None if none of them names one.

    Raises
    ------
    SettingsError
        The folder or file does not exist.
    """
    for _, data in _files(path, LeftOut()):
        if data.startswith(FRAME_MAGIC):
            return _FRAMED_SURVEY
        try:
            survey = _survey_of_schema(read_header(data).schema_text)
        except PacketRefused:
            continue
        if survey is not None:
            return survey
    return None


def read_messages(
    path: Path, left_out: LeftOut, survey: str | None, schema_folder: Path | None
) -> Iterator[bytes]:
    """Yield the messages of a file, a tar, or a folder and those below it.

    Parameters
    ----------
    path
        Folder or file.
    left_out
        Notes what is not played.
    survey
        Alerts of other surveys are left out; None plays all.
    schema_folder
        LSST's alerts are framed, and their schemas written there as `<id>.avsc`; None leaves
        them in containers.

    Raises
    ------
    SettingsError
        The folder or file does not exist.
    """
    frames = None if schema_folder is None else _Frames(schema_folder, left_out)
    for name, data in _files(path, left_out):
        try:
            header = read_header(data)
        except PacketRefused:
            yield data  # broken packets are played too
            continue
        found = _survey_of_schema(header.schema_text)
        if survey is not None and found not in (survey, None):
            left_out.add(f"of survey {found}, on a topic of {survey}", name)
        elif found == _FRAMED_SURVEY and frames is not None:
            yield from frames.of(name, data, header)
        else:
            yield from _divided(name, data, header, left_out)


def _files(path: Path, left_out: LeftOut) -> Iterator[tuple[str, bytes]]:
    if not path.exists():
        raise SettingsError(f"no such folder or file: {path}")
    if not path.is_dir():
        yield from _file(path, left_out)
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            yield from _file(Path(folder) / name, left_out)


def _file(path: Path, left_out: LeftOut) -> Iterator[tuple[str, bytes]]:
    if not path.name.lower().endswith(_TARS):
        yield from _unpacked(path.name, path.read_bytes, left_out)
        return
    try:
        # As a stream: a compressed tar is read only once, from beginning to end.
        with tarfile.open(path, mode="r|*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield from _unpacked(member.name, file.read, left_out)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        left_out.add(f"damaged, from here on: {error}", path.name)


def _unpacked(
    name: str, read: Callable[[], bytes], left_out: LeftOut
) -> Iterator[tuple[str, bytes]]:
    unpack = next((_CONTAINERS[end] for end in _CONTAINERS if name.lower().endswith(end)), None)
    if unpack is None:
        left_out.add("no Avro container by its name", name)
        return
    try:
        yield name, unpack(read())
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        left_out.add(f"cannot be unpacked: {error}", name)


@lru_cache(maxsize=64)
def _survey_of_schema(text: bytes) -> str | None:
    try:
        arrow = WriterSchema.from_text(text).arrow
    except SchemaError:
        return None
    return next((name for name, survey in SURVEYS.items() if not survey.missing(arrow)), None)


def _divided(name: str, data: bytes, header: Header, left_out: LeftOut) -> Iterator[bytes]:
    records = 0
    try:
        for count, _ in _blocks(data, header):
            records += count
            if records > 1:
                break
    except PacketRefused:
        pass  # the damage is met again below
    if records <= 1:
        yield data  # byte for byte, also if it is broken
        return
    writer = ContainerWriter(header.schema_text.decode())
    for record in _records(name, data, header, left_out):
        yield writer.wrap(record)


class _Frames:
    """Puts LSST's records into frames, and their schemas into a folder."""

    def __init__(self, folder: Path, left_out: LeftOut) -> None:
        self._folder = folder
        self._left_out = left_out
        self._ids: dict[bytes, int] = {}

    def of(self, name: str, data: bytes, header: Header) -> Iterator[bytes]:
        """Yield the frames of the records of a container, once their schema is in the folder."""
        text = header.schema_text
        if text not in self._ids:
            self._ids[text] = self._free_id(text)
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._folder / f"{self._ids[text]}.avsc") as file:
                file.write(text)
        for record in _records(name, data, header, self._left_out):
            yield write_frame(self._ids[text], record)

    def _free_id(self, text: bytes) -> int:
        """Return LSST's id of the schema, or a low one if its name has no version or it is used."""
        version = _LSST_VERSION.search(_parsed(text)["name"])
        used = self._ids.values()
        if version is not None and (own := 100 * int(version[1]) + int(version[2])) not in used:
            return own
        return next(number for number in itertools.count(1) if number not in used)


def _records(name: str, data: bytes, header: Header, left_out: LeftOut) -> Iterator[bytes]:
    """Yield the bare records of a container up to the first damage."""
    try:
        for count, block in _blocks(data, header):
            if count == 1:
                yield block
            else:
                yield from _cut(block, count, header.schema_text)
    except _UNREADABLE as error:
        why = error.detail if isinstance(error, PacketRefused) else repr(error)
        left_out.add(f"damaged, from here on: {why}", name)


# Raised by fastavro for records that do not decode.
_UNREADABLE: Final = (ValueError, LookupError, TypeError, EOFError, OSError, OverflowError)


def _cut(block: bytes, count: int, schema_text: bytes) -> Iterator[bytes]:
    """Yield the records of a block; only decoding says where each of them ends."""
    schema = _parsed(schema_text)
    stream = io.BytesIO(block)
    for _ in range(count):
        start = stream.tell()
        fastavro.schemaless_reader(stream, schema)
        yield block[start : stream.tell()]
    if stream.tell() != len(block):
        raise ValueError(f"{len(block) - stream.tell()} bytes follow the last record of a block")


@lru_cache(maxsize=8)
def _parsed(schema_text: bytes) -> Any:
    return parse_writer_schema(json.loads(schema_text))


def _blocks(data: bytes, header: Header) -> Iterator[tuple[int, bytes]]:
    """Yield the count of records and the data of each block that is not empty.

    Raises
    ------
    PacketRefused
        A block is damaged.
    """
    position = len(header.raw) + SYNC_BYTES
    sync = data[len(header.raw) : position]
    while position < len(data):
        count, position = read_long(data, position)
        size, start = read_long(data, position)
        end = start + size
        position = end + SYNC_BYTES
        if count < 0 or size < 0 or data[end:position] != sync:
            raise PacketRefused(DeadLetterReason.BAD_SYNC, "a block does not end with the marker")
        if count:
            block = data[start:end]
            if header.codec != "null":
                block = decompress(header.codec, block, _MOST_BLOCK_BYTES)
            yield count, block
