"""Where the packets that are played come from: the maker, or files."""

import heapq
import io
import itertools
import logging
import os
import struct
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fastavro

from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SettingsError
from sim.maker import MadeAlert, Maker

_LOG = logging.getLogger(__name__)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
_WINDOW_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet to send, byte for byte, and what is known of it.

    Attributes
    ----------
    data
        The bytes; None is a message without a value.
    jd, object_id, candid
        When it was observed (UTC), of what, and the number of the detection (of LSST the
        `diaSourceId`); None where the packet does not tell them, be it of another survey or
        broken on purpose.
    visit
        Which visit it is from, counted from 0.
    alert
        What the maker says of it.
    trouble
        What is wrong with it, as `sim.player.trouble` names it; empty for a good packet.
    reasons
        With which reasons it may become a dead letter; none for what must be archived.
    create_ms
        The time that Kafka is told (Unix time, ms); None is that of sending.
    """

    data: bytes | None
    jd: float | None = None
    object_id: str | None = None
    candid: int | None = None
    visit: int | None = None
    alert: MadeAlert | None = None
    trouble: str = ""
    reasons: tuple[DeadLetterReason, ...] = ()
    create_ms: int | None = None


def made(
    maker: Maker,
    next_maker: Maker | None = None,
    has_come: Callable[[int], bool] = lambda _: False,
) -> Iterator[Packet]:
    """The maker's alerts, without end.

    Parameters
    ----------
    maker
        What makes them.
    next_maker
        The same in the next version of the schema.
    has_come
        Is given how many alerts there were, and says whether the next version has come: the
        rest of that visit is in it, and all that follows.
    """
    visit, sent = 0, 0
    for number, alert in enumerate(maker.alerts()):
        if alert.visit != visit:
            visit, sent = alert.visit, 0
        if next_maker is not None and has_come(number):
            yield from map(_packet, itertools.islice(next_maker.alerts(visit), sent, None))
        sent += 1
        yield _packet(alert)


def _packet(alert: MadeAlert) -> Packet:
    return Packet(alert.packet, alert.jd, alert.object_id, alert.candid, alert.visit, alert)


def from_files(path: Path, *, in_order: bool = False) -> Iterator[Packet]:
    """The packets of a file, an archive, or all that are in a folder and below.

    `.avro` files, and those in `.tar`, `.tar.gz` and `.tar.xz`, which are read as they come
    and not unpacked. Files are taken in the order of their names, archives in their own.

    Parameters
    ----------
    path
        Folder or file.
    in_order
        Look into the packets, and give them in the order of their times. Sorting holds at
        most 256 MB: in larger collections a packet that is farther from its place than
        that comes late, and it is said in the log how many did.

    Raises
    ------
    SettingsError
        There is no such folder or file, or no packet in it.
    """
    if not path.exists():
        raise SettingsError(f"no such folder or file: {path}")
    packets: Iterator[Packet] = (Packet(data) for data in _read(path))
    if in_order:
        packets = _sorted_by_time(described(packet) for packet in packets)
    found = False
    for packet in packets:
        found = True
        yield packet
    if not found:
        raise SettingsError(f"no .avro file in {path}, nor a tar with one")


def described(packet: Packet) -> Packet:
    """The packet with its time and names, if it is a ZTF alert that decodes."""
    try:
        record: Any = next(fastavro.reader(io.BytesIO(packet.data or b"")))
        return replace(
            packet,
            jd=float(record["candidate"]["jd"]),
            object_id=record["objectId"],
            candid=record["candid"],
        )
    except _UNREADABLE as error:
        _LOG.debug("A packet that cannot be looked into: %r", error)
        return packet


# What fastavro raises for bytes that are no container, and what other schemas lead to.
_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    StopIteration,
    struct.error,
    fastavro.schema.SchemaParseException,
)


def _read(path: Path) -> Iterator[bytes]:
    if path.is_dir():
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                yield from _read_file(Path(folder) / name)
    else:
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[bytes]:
    if path.suffix == ".avro":
        yield path.read_bytes()
    elif path.name.endswith(_TARS):
        # As a stream: a compressed tar is read once from its beginning to its end.
        with tarfile.open(path, mode="r|*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(".avro") else None
                if file is not None:
                    yield file.read()


def _sorted_by_time(
    packets: Iterable[Packet], window_bytes: int = _WINDOW_BYTES
) -> Iterator[Packet]:
    """Sort within a window; what has no time stays behind the packet that it came after."""
    heap: list[tuple[float, int, Packet]] = []
    held_bytes, given_jd, last_jd, late = 0, 0.0, 0.0, 0
    for number, packet in enumerate(packets):
        last_jd = packet.jd if packet.jd is not None else last_jd
        late += last_jd < given_jd
        heapq.heappush(heap, (last_jd, number, packet))
        held_bytes += len(packet.data or b"")
        while held_bytes > window_bytes:
            given_jd, _, first = heapq.heappop(heap)
            held_bytes -= len(first.data or b"")
            yield first
    while heap:
        yield heapq.heappop(heap)[2]
    if late:
        _LOG.warning("%d packets were too far from their place to be played in order", late)
