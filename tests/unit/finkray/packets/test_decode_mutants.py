"""Damaged real packets decode as with fastavro or are refused by both; no other one changes."""

import functools
import io
import json
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import fastavro._read_py
import fastavro.schema
import pyarrow as pa
import pytest
from fastavro.io.binary_decoder import BinaryDecoder

from finkray.packets.decoded_table import DecodedTable
from finkray.packets.decoder import make_decoder
from finkray.settings.packets import PacketSettings
from tests.support.avro_cases import SOURCE, container, differences, long, messages
from tests.support.packets import real_ztf_packets

TIMES = int(os.environ.get("FINKRAY_MUTANTS", "1"))
"""`FINKRAY_MUTANTS=10` tries ten times as many; the first of them are the same."""

MUTANTS = {"ztf": 600 * TIMES, "lsst": 240 * TIMES}
BATCH = 40
NEIGHBOUR = 5
"""One in this many messages is undamaged."""


class StrictDecoder(BinaryDecoder):
    """fastavro's decoder, made strict where it accepts what the specification forbids.

    It takes an index of -1 for the last branch of a union or symbol of an enum, an int beyond
    32 bits, and a long beyond 64.
    """

    def read_long(self) -> int:
        return _within(super().read_long(), -(2**63), 2**63 - 1)

    def read_int(self) -> int:
        return _within(self.read_long(), -(2**31), 2**31 - 1)

    def read_index(self) -> int:
        return _within(self.read_long(), 0, 2**31)

    def read_enum(self) -> int:
        return _within(self.read_long(), 0, 2**31)


def _within(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValueError(value)
    return value


def reference(schema: Any, body: bytes) -> Any:
    """The record that fastavro reads from a body with no bytes left over; None if it refuses."""
    stream = io.BytesIO(body)
    try:
        value = fastavro.schemaless_reader(stream, schema)
    except Exception:  # noqa: BLE001 - any of a dozen kinds
        return None
    return value if stream.tell() == len(body) else None


def strict_reference(schema: Any, body: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same by fastavro's Python code, with the strict decoder."""
    stream = io.BytesIO(body)
    with monkeypatch.context() as patch:
        patch.setattr(fastavro._read_py, "BinaryDecoder", StrictDecoder)
        try:
            value = fastavro._read_py.schemaless_reader(stream, schema, None)
        except Exception:  # noqa: BLE001
            return None
    return value if stream.tell() == len(body) else None


class Sound(NamedTuple):
    """An undamaged packet: its record and schema, what fastavro reads, and its wire format."""

    schema: Any
    body: bytes
    value: Any
    wrap: Callable[[bytes], bytes]


def ztf(test_data: Path) -> Iterator[Sound]:
    """Every fifth real packet, in its container; schemas are parsed once and not for each."""
    parsed: dict[str, Any] = {}
    for packet in list(real_ztf_packets(test_data, "20[12][!6]*"))[::5]:
        reader = fastavro.block_reader(io.BytesIO(packet))
        body = next(reader).bytes_.getvalue()
        text = json.dumps(reader.writer_schema)
        schema = parsed.setdefault(text, fastavro.parse_schema(json.loads(text)))
        wrap = functools.partial(container, json.loads(text))
        yield Sound(schema, body, reference(schema, body), wrap)


def lsst(test_data: Path) -> Iterator[Sound]:
    """Frames as they were on topics, schemas 7.0 to 11.1."""
    for name in ("boom_3", "fake_pittgoogle"):
        with tarfile.open(test_data / "lsst" / f"lsst_confluent_wire_{name}.tar.xz") as tar:
            frames = [content.read() for m in tar if (content := tar.extractfile(m)) is not None]
        for frame in frames:
            major, minor = divmod(int.from_bytes(frame[1:5], "big"), 100)
            folder = test_data / "schemas" / "lsst" / str(major) / str(minor)
            (path,) = folder.glob("*.alert.avsc")
            schema = fastavro.schema.load_schema(str(path))
            wrap = frame[:5].__add__
            yield Sound(schema, frame[5:], reference(schema, frame[5:]), wrap)


EXTREMES = [-1, -2, 2**20, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63)]


def mutate(body: bytes, random_: random.Random) -> bytes:
    """One to three changes, mostly where the numbers are and not in an image."""
    out = bytearray(body)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(min(len(out), random_.choice([40, 400, 8000, len(out)])))
        match random_.randrange(7):
            case 0:
                out[at] ^= 1 << random_.randrange(8)
            case 1:
                out[at] = random_.randrange(256)
            case 2:
                del out[at : at + random_.randint(1, 9)]
            case 3:
                out[at:at] = random_.randbytes(random_.randint(1, 9))
            case 4:
                out[at : at + 1] = long(random_.choice(EXTREMES))
            case 5:
                out[at : at + random_.randint(1, 4)] = b"\xff" * random_.randint(1, 12)
            case _:
                del out[at:]
                out += random_.randbytes(random_.randint(0, 20))
        if not out:
            return b""
    return bytes(out)


# A time limit that strikes within the reader leaves no good trace.
@pytest.mark.timeout(1200 * TIMES)
@pytest.mark.parametrize("survey", MUTANTS)
def test_a_damaged_packet_is_exactly_one_reject(
    survey: str, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = list((ztf if survey == "ztf" else lsst)(test_data))
    packets = PacketSettings(schema_folder=str(test_data / "schemas" / "lsst"))
    decoder = make_decoder(packets, 8 * 1024 * 1024, {})
    random_ = random.Random(20181129)
    refusals = 0
    for _ in range(MUTANTS[survey] // BATCH):
        bodies = []
        for one in (random_.choice(sound) for _ in range(BATCH)):
            damaged = mutate(one.body, random_)
            bodies.append((one, damaged, reference(one.schema, damaged)))
            if len(bodies) % NEIGHBOUR == NEIGHBOUR - 1:
                bodies.append((one, one.body, one.value))
        decoded = decoder.decode(messages([one.wrap(body) for one, body, _ in bodies]), SOURCE)
        refused = {reject.index for reject in decoded.rejects}
        rows = {int(row): place for one in decoded.tables for row, place in places(one)}
        assert rows.keys() | refused == set(range(len(bodies)))
        assert not rows.keys() & refused
        refusals += len(refused)
        for index, (one, body, expected) in enumerate(bodies):
            if index in refused:
                assert body is not one.body, "a neighbour was refused"
                if expected is not None:
                    assert strict_reference(one.schema, body, monkeypatch) is None
            else:
                assert expected is not None, "fastavro refuses what we take"
                assert_the_same(expected, rows[index])
    assert refusals > MUTANTS[survey] / 4


def places(decoded: DecodedTable) -> Iterator[tuple[int, pa.Table]]:
    """Each row with its message, as Arrow values."""
    for place, row in enumerate(decoded.rows):
        yield row, decoded.table.slice(place, 1)


def assert_the_same(expected: Any, found: pa.Table) -> None:
    (row,) = found.to_pylist()
    # NaN is not equal to itself: look closer before complaining.
    assert row == expected or not list(differences(expected, row))
