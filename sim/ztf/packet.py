"""Assemble an alert in ZTF's form: an Avro object container with one record."""

from dataclasses import dataclass

from finkray.avro.container import encode_bytes, encode_header, encode_long
from sim.ztf.cutouts import Cutouts
from sim.ztf.schema import Version, schema_text

PUBLISHER = "finkray simulator"


@dataclass(frozen=True, slots=True)
class PastEntries:
    """Encoded history entries, oldest first and joined, and their number."""

    previous: bytes
    previous_count: int
    forced: bytes
    forced_count: int


class PacketWriter:
    """Writes packets of one schema version."""

    def __init__(self, version: Version) -> None:
        self._has_forced = version != "3.3"
        self._null, self._value = (b"\x00", b"\x02") if self._has_forced else (b"\x02", b"\x00")
        meta = {"avro.codec": b"null", "avro.schema": schema_text(version).encode()}
        if self._has_forced:  # the order of the survey's two writers
            meta = dict(reversed(meta.items()))
        self._head = encode_header(meta)
        self._start = encode_bytes(version.encode()) + encode_bytes(PUBLISHER.encode())

    def write(
        self,
        *,
        object_id: str,
        candid: int,
        candidate: bytes,
        past: PastEntries,
        cutouts: Cutouts,
        positive: bool,
        sync: bytes,
    ) -> bytes:
        """Return the whole packet.

        Parameters
        ----------
        object_id, candid
            Name of the object, and number of the detection.
        candidate
            The encoded record.
        past
            The history.
        cutouts
            The images.
        positive
            Whether the source became brighter; the name of the difference image depends on it.
        sync
            Sixteen bytes that mark the end of a block, different in every packet.
        """
        image = f"candid{candid}_pid{candid // 1_000_000}_targ"
        difference = "scimref" if positive else "refmsci"
        body = [
            self._start,
            encode_bytes(object_id.encode()),
            encode_long(candid),
            candidate,
            *self._array(past.previous, past.previous_count),
        ]
        if self._has_forced:
            body += self._array(past.forced, past.forced_count)
        body += [
            self._cutout_name(f"{image}_sci"),
            cutouts.science,
            self._cutout_name(f"candid{candid}_ref"),
            cutouts.template,
            self._cutout_name(f"{image}_{difference}"),
            cutouts.difference,
        ]
        size = sum(map(len, body))
        return b"".join([self._head, sync, encode_long(1), encode_long(size), *body, sync])

    def _array(self, items: bytes, count: int) -> tuple[bytes, ...]:
        """Return a union of null and an array: one block of items and the empty last block."""
        if count == 0:
            return (self._null,)
        return (self._value, encode_long(count), items, b"\x00")

    def _cutout_name(self, name: str) -> bytes:
        return self._value + encode_bytes(f"{name}.fits.gz".encode())
