"""Sources of the packets that are played: a maker, or files."""

import heapq
import io
import itertools
import logging
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fastavro

from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SettingsError
from sim.maker import MadeAlert, Maker
from sim.player.files import LeftOut, read_messages

_LOG = logging.getLogger(__name__)
_WINDOW_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet to send, byte for byte, and what is known about it.

    Attributes
    ----------
    data
        The bytes; None is a message without a value.
    jd, object_id, candid
        The time of observation (UTC), the object, and the number of the detection (of LSST the
        `diaSourceId`); None where the packet does not say, because it is of another survey or
        broken on purpose.
    visit
        The number of its visit, counted from 0.
    alert
        The simulated alert, if a maker made it.
    trouble
        What is wrong with it, as `sim.player.trouble` names it; empty for a good packet.
    reasons
        The dead-letter reasons that are correct for it; none if it must be archived.
    create_ms
        Kafka's timestamp (Unix time, ms); None is the time of sending.
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
    bump_due: Callable[[int], bool] = lambda _: False,
) -> Iterator[Packet]:
    """Yield the maker's alerts, without end.

    Parameters
    ----------
    maker
        The maker of the alerts.
    next_maker
        The maker of the same alerts in the next version of the schema.
    bump_due
        Takes the number of alerts so far; whether the next version is due. The rest of that
        visit is in it, and everything that follows.
    """
    visit, sent = 0, 0
    for number, alert in enumerate(maker.alerts()):
        if alert.visit != visit:
            visit, sent = alert.visit, 0
        if next_maker is not None and bump_due(number):
            yield from map(_packet, itertools.islice(next_maker.alerts(visit), sent, None))
        sent += 1
        yield _packet(alert)


def _packet(alert: MadeAlert) -> Packet:
    return Packet(alert.packet, alert.jd, alert.object_id, alert.candid, alert.visit, alert)


def from_files(
    path: Path,
    *,
    in_order: bool = False,
    survey: str | None = None,
    schema_folder: Path | None = None,
) -> Iterator[Packet]:
    """Yield the packets of a file, of a tar archive, or of a folder and those below it.

    They are `.avro` files, also compressed (`.avro.gz`, `.xz`, `.bz2`), and those in tars, which
    are read as streams and not unpacked. Files come in the order of their names, members of a tar
    in its own order. A container with several records is as many packets. The log names what is
    left out.

    Parameters
    ----------
    path
        Folder or file.
    in_order
        Read the packets' times and yield them in that order. Sorting holds at most 256 MB: in
        larger collections a packet that is farther from its position comes late, and the log says
        how many did.
    survey
        Leave out alerts of other surveys; None plays all.
    schema_folder
        Put LSST's alerts into frames, as they are on its topics, and write their schemas there, as
        the setting `packets.schema_folder` expects them; None leaves them in containers.

    Raises
    ------
    SettingsError
        The folder or file does not exist, or has no packet.
    """
    left_out = LeftOut()
    messages = read_messages(path, left_out, survey, schema_folder)
    packets: Iterator[Packet] = (Packet(data) for data in messages)
    if in_order:
        packets = _sorted_by_time(described(packet) for packet in packets)
    found = False
    for packet in packets:
        found = True
        yield packet
    if not found:
        what = f"; left out: {left_out}" if str(left_out) else ""
        raise SettingsError(f"no .avro file in {path}, nor a tar with one{what}")
    if str(left_out):
        _LOG.warning("not played: %s", left_out)


def described(packet: Packet) -> Packet:
    """Return the packet with its time and names, if it is a ZTF alert that decodes."""
    try:
        record: Any = next(fastavro.reader(io.BytesIO(packet.data or b"")))
        return replace(
            packet,
            jd=float(record["candidate"]["jd"]),
            object_id=record["objectId"],
            candid=record["candid"],
        )
    except _UNREADABLE as error:
        _LOG.debug("a packet does not decode as a ZTF alert: %r", error)
        return packet


# Raised by fastavro for bytes that are not a container, and by packets with other schemas.
_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    StopIteration,
    struct.error,
    fastavro.schema.SchemaParseException,
)


def _sorted_by_time(
    packets: Iterable[Packet], window_bytes: int = _WINDOW_BYTES
) -> Iterator[Packet]:
    """Sort within a window; a packet without a time stays behind the packet before it."""
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
        _LOG.warning("%d packets were too far from their position to be played in order", late)
