"""Real packets, damaged: the same value as fastavro or both refuse, and no neighbour is touched."""

import io
import random
from pathlib import Path
from typing import Any

import fastavro
import fastavro._read_py
import pytest
from fastavro.io.binary_decoder import BinaryDecoder

from finkray.decode import Decoder
from tests.avro_cases import SOURCE, container, differences, long, messages
from tests.packets import real_ztf_packets

MUTANTS = 3000
BATCH = 30


class StrictDecoder(BinaryDecoder):
    """fastavro's own decoder, without what it lets pass against the specification.

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
    """What fastavro makes of a body that must be used up; None if it refuses."""
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


def split(packet: bytes) -> tuple[Any, bytes]:
    """Schema and body of a sound packet."""
    reader = fastavro.block_reader(io.BytesIO(packet))
    block = next(reader)
    return reader.writer_schema, block.bytes_.getvalue()


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


def test_a_damaged_packet_is_one_reject_and_nothing_else(
    test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = list(real_ztf_packets(test_data, "20[12][!6]*"))[::5]
    sound = [(schema, body, reference(schema, body)) for schema, body in map(split, packets)]
    random_ = random.Random(20181129)
    decoder = Decoder()
    refusals = 0
    for _ in range(MUTANTS // BATCH):
        picks = [random_.choice(sound) for _ in range(BATCH)]
        bodies = []
        for schema, body, value in picks:
            damaged = mutate(body, random_)
            bodies += [(schema, damaged, reference(schema, damaged)), (schema, body, value)]
        decoded = decoder.decode(messages([container(s, body) for s, body, _ in bodies]), SOURCE)
        rows = {
            int(row): packet
            for one in decoded.tables
            for row, packet in zip(one.rows, one.table.to_pylist(), strict=True)
        }
        refused = {reject.index for reject in decoded.rejects}
        assert rows.keys() | refused == set(range(len(bodies)))
        assert not rows.keys() & refused
        refusals += len(refused)
        for index, (schema, body, expected) in enumerate(bodies):
            if index not in refused:
                assert expected is not None, "fastavro refuses what we take"
                # NaN is not equal to itself: look closer before complaining.
                assert rows[index] == expected or not list(differences(expected, rows[index]))
            else:
                assert index % 2 == 0, "a neighbour was refused"
                if expected is not None:
                    assert strict_reference(schema, body, monkeypatch) is None
    assert refusals > MUTANTS / 4
