"""Decoding equals fastavro, and no damaged message changes another."""

import bz2
import io
import json
import lzma
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import fastavro
import fastavro._read_py
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finkray.packets.bounds import DecodeBounds
from finkray.packets.decode import CHUNK_ROWS, Decoded, Decoder
from finkray.packets.message import RawMessage
from finkray.packets.unwrap import Unwrapper
from tests.support.avro_cases import (
    SOURCE,
    Case,
    container,
    deflate,
    differences,
    fastavro_reads,
    long,
    messages,
    records,
    same,
    sized,
)
from tests.support.examples import examples
from tests.support.packets import BROKEN_2016, real_ztf_packets

PAIR = {
    "type": "record",
    "name": "pair",
    "fields": [{"name": "number", "type": "long"}, {"name": "text", "type": "string"}],
}


def pair(number: int, text: str = "x") -> bytes:
    return long(number) + sized(text.encode())


def decoded_rows(decoded: Decoded) -> dict[int, Any]:
    """The reason of each rejected message, by its index."""
    return {
        int(row): packet
        for one in decoded.tables
        for row, packet in zip(one.rows, one.table.to_pylist(), strict=True)
    }


def reasons(decoded: Decoded) -> dict[int, str]:
    return {reject.index: reject.reason for reject in decoded.rejects}


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_record_decodes_to_its_values(data: st.DataObject) -> None:
    case: Case = data.draw(records())
    written = data.draw(st.lists(case.values, min_size=1, max_size=4))
    packets = [container(case.schema, one.data) for one in written]

    decoded = Decoder().decode(messages(list(packets)), SOURCE)

    assert decoded.rejects == ()
    (table,) = decoded.tables
    assert table.table.schema == table.schema.arrow
    table.table.validate(full=True)
    got = table.table.to_pylist()
    for packet, one, row in zip(packets, written, got, strict=True):
        assert not list(differences(one.promised, row))
        assert not list(differences(one.fastavro, fastavro_reads(packet)[0]))


def test_every_real_packet_is_equal_to_fastavro(test_data: Path) -> None:
    packets = list(real_ztf_packets(test_data))

    decoded = Decoder().decode(messages(list(packets)), SOURCE)

    rows = decoded_rows(decoded)
    assert len(rows) == len(packets) - BROKEN_2016
    for index, row in rows.items():
        (expected,) = fastavro_reads(packets[index])
        assert not list(differences(expected, row))
    # These two are one byte too short for what they say of themselves.
    assert list(reasons(decoded).values()) == ["truncated"] * BROKEN_2016
    for index in reasons(decoded):
        with pytest.raises((ValueError, IndexError)):
            fastavro_reads(packets[index])


GOOD = container(PAIR, pair(7))
DAMAGED = {
    "nothing": (None, "tombstone"),
    "no bytes": (b"", "empty"),
    "text": (b'{"objectId": "ZTF18abc"}', "not_avro"),
    "a bare record": (pair(7), "not_avro"),
    "the magic alone": (b"Obj\x01", "truncated"),
    "a cut header": (GOOD[:50], "truncated"),
    "a cut block": (GOOD[:-17], "truncated"),
    "a cut marker": (GOOD[:-1], "truncated"),
    "no block": (GOOD[: -len(pair(7)) - 18], "no_record"),
    "another marker": (GOOD[:-1] + b"\xff", "bad_sync"),
    "bytes behind": (GOOD + b"x", "trailing_bytes"),
    "another block": (GOOD + long(1) + sized(pair(8)) + GOOD[-16:], "trailing_bytes"),
    "two records": (container(PAIR, pair(7) + pair(8), count=2), "several_records"),
    "no record": (container(PAIR, b"", count=0), "no_record"),
    "a record less than none": (container(PAIR, pair(7), count=-1), "no_record"),
    "a longer record": (container(PAIR, pair(7) + b"x"), "bad_record"),
    "a shorter record": (container(PAIR, pair(7)[:-1]), "bad_record"),
    "a text of 2^50 bytes": (container(PAIR, long(7) + long(2**50) + b"x"), "bad_record"),
    "a text of -1 bytes": (container(PAIR, long(7) + long(-1)), "bad_record"),
    "no UTF-8": (container(PAIR, long(7) + sized(b"\xff\xfe")), "bad_record"),
    "a block of 2^40 bytes": (GOOD[: -len(pair(7)) - 17] + long(2**40) + pair(7), "truncated"),
    "a block of -1 bytes": (GOOD[: -len(pair(7)) - 17] + long(-1) + pair(7), "bad_number"),
    "a number without end": (b"Obj\x01" + b"\xff" * 20, "bad_number"),
    "a header of 2^60 pairs": (b"Obj\x01" + long(2**60) + b"\0" * 50, "truncated"),
    "a key of -1 bytes": (b"Obj\x01" + long(1) + long(-1) + b"\0" * 50, "bad_number"),
    "no schema": (b"Obj\x01\0" + bytes(16) + long(1) + sized(b"") + bytes(16), "no_schema"),
    "a schema that is no JSON": (container(b"{", pair(7)), "unsupported_schema"),
    "an unknown codec": (container(PAIR, pair(7), codec="rot13"), "unknown_codec"),
    "a codec that does not fit": (container(PAIR, pair(7), codec="deflate"), "bad_compression"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_message_has_its_reason_and_the_others_decode(what: str) -> None:
    value, reason = DAMAGED[what]

    decoded = Decoder().decode(messages([GOOD, value, GOOD]), SOURCE)

    assert reasons(decoded) == {1: reason}
    assert decoded_rows(decoded) == {0: {"number": 7, "text": "x"}, 2: {"number": 7, "text": "x"}}
    (reject,) = decoded.rejects
    assert reject.detail.endswith(".")
    assert len(reject.detail) < 400


def test_many_damaged_records_are_all_found_and_no_other() -> None:
    """Damaged records alone, in groups, at the beginning and the end, in several chunks."""
    bad = {0, 1, 2, 17, 100, 300, *range(505, 520), 699}
    broken = container(PAIR, long(7) + long(99) + b"x")
    values = [broken if i in bad else container(PAIR, pair(i)) for i in range(700)]
    assert CHUNK_ROWS in bad

    decoded = Decoder().decode(messages(list(values)), SOURCE)

    assert reasons(decoded) == dict.fromkeys(sorted(bad), "bad_record")
    (table,) = decoded.tables
    assert table.rows.tolist() == [i for i in range(700) if i not in bad]
    assert table.table.column("number").to_pylist() == table.rows.tolist()


def test_a_damaged_record_cannot_change_the_records_beside_it() -> None:
    """Damaged so that, read in one stream, its end would fall into a later record."""
    follower = container(PAIR, pair(2, "a" * 30))
    for length in range(120):
        swallowing = container(PAIR, long(1) + long(length) + b"abc")
        decoded = Decoder().decode(messages([swallowing, follower, follower]), SOURCE)
        assert set(decoded_rows(decoded)) == {1, 2} | ({0} if length == 3 else set())


def test_a_wrong_branch_of_a_union_is_a_bad_record() -> None:
    """Even if the reader could take it for one of the two branches."""
    schema = {"type": "record", "name": "r", "fields": [{"name": "x", "type": ["null", "float"]}]}
    packets = [container(schema, long(branch) + b"\0\0\0\0") for branch in (1, 2, 3, 63, -1, -2)]
    packets += [container(schema, long(branch)) for branch in (0, 1, 2, -1)]

    decoded = Decoder().decode(messages(list(packets)), SOURCE)

    assert decoded_rows(decoded) == {0: {"x": 0.0}, 6: {"x": None}}


def test_schemas_with_the_same_start_are_distinguished() -> None:
    """Headers that are equal but for their end."""
    doc = "alike " * 500
    other = {**PAIR, "fields": [*PAIR["fields"], {"name": "last", "type": "int"}]}
    one, two = {"doc": doc, **PAIR}, {"doc": doc, **other}
    packets = [container(one, pair(1)), container(two, pair(2) + long(5))] * 3

    decoded = Decoder().decode(messages(list(packets)), SOURCE)

    assert decoded.rejects == ()
    first, second = decoded.tables
    assert first.rows.tolist() == [0, 2, 4]
    assert second.rows.tolist() == [1, 3, 5]
    assert second.table.column("last").to_pylist() == [5, 5, 5]


def test_one_schema_in_two_spellings_is_one_table() -> None:
    """Blanks, the order of keys, other metadata and the marker do not make another schema."""
    spaced = json.dumps(dict(reversed(PAIR.items())), indent=2).encode()
    packets = [GOOD, container(spaced, pair(8)), container(PAIR, pair(9), sync=b"s" * 16)]

    (table,) = (
        Decoder()
        .decode(messages([*packets, container(PAIR, pair(10), codec="null")]), SOURCE)
        .tables
    )

    assert table.table.column("number").to_pylist() == [7, 8, 9, 10]


def test_more_schemas_than_are_cached_still_decode() -> None:
    schemas = [{**PAIR, "name": f"pair{i}"} for i in range(150)]
    decoder = Decoder()
    for _ in range(2):
        decoded = decoder.decode(
            messages([container(schema, pair(7)) for schema in schemas]), SOURCE
        )
        assert decoded.rejects == ()
        assert len(decoded.tables) == 150


def _with_crc(data: bytes) -> bytes:
    packed: bytes = pa.Codec("snappy").compress(data, asbytes=True)
    return packed + zlib.crc32(data).to_bytes(4, "big")


def _lz4(data: bytes) -> bytes:
    packed: bytes = pa.Codec("lz4_raw").compress(data, asbytes=True)
    return len(data).to_bytes(4, "little") + packed


PACKERS = {
    "deflate": deflate,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "snappy": _with_crc,
    "zstandard": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
    "lz4": _lz4,
}


@pytest.mark.parametrize("codec", PACKERS)
def test_every_codec_of_fastavro(codec: str) -> None:
    assert set(PACKERS) | {"null"} == set(fastavro._read_py.BLOCK_READERS)
    pack = PACKERS[codec]
    body = pair(7, "many alike " * 100)
    packed = pack(body)
    packets = [
        container(PAIR, packed, codec=codec),
        container(PAIR, packed[:-5], codec=codec),
        container(PAIR, pack(body + b"x"), codec=codec),
    ]

    decoded = Decoder().decode(messages(list(packets)), SOURCE)

    assert decoded_rows(decoded) == {0: {"number": 7, "text": "many alike " * 100}}
    assert reasons(decoded) == {1: "bad_compression", 2: "bad_record"}


@pytest.mark.parametrize("codec", ["deflate", "bzip2", "xz"])
def test_blocks_that_fastavro_compressed_are_read(codec: str) -> None:
    out = io.BytesIO()
    fastavro.writer(out, PAIR, [{"number": 7, "text": "x"}], codec=codec)

    decoded = Decoder().decode(messages([out.getvalue()]), SOURCE)

    assert decoded_rows(decoded) == {0: {"number": 7, "text": "x"}}


@pytest.mark.parametrize("codec", PACKERS)
def test_a_bomb_is_refused_at_the_limit(codec: str) -> None:
    """50 MB of zeros in a few kB, of which at most the limit is decompressed."""
    bomb = container(PAIR, PACKERS[codec](bytes(50_000_000)), codec=codec)
    tracemalloc.start()
    before = pa.total_allocated_bytes()

    decoded = Decoder(Unwrapper(max_record_bytes=1_000_000)).decode(messages([bomb, GOOD]), SOURCE)

    assert reasons(decoded) == {0: "too_large"}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert pa.total_allocated_bytes() - before < 5_000_000


def test_a_record_beyond_the_limit_is_refused() -> None:
    large = container(PAIR, pair(7, "x" * 2000))

    decoded = Decoder(Unwrapper(max_record_bytes=1000)).decode(messages([large, GOOD]), SOURCE)

    assert reasons(decoded) == {0: "too_large"}


def test_a_large_record_decodes() -> None:
    """Larger than what the reader gets at a time."""
    text = "ab" * 5_000_000

    decoded = Decoder().decode(messages([container(PAIR, pair(7, text)), GOOD]), SOURCE)

    assert decoded_rows(decoded)[0] == {"number": 7, "text": text}


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 3000)), min_size=1),
    st.integers(0, 9),
    st.integers(0, 20_000),
)
def test_bounded_steps_decode_the_same_messages(
    drawn: list[tuple[str | None, int]], columns: int, decoded_bytes: int
) -> None:
    """Messages of three schemas of two columns, and bad ones, step by step."""
    values = [
        b"text" if name is None else container({**PAIR, "name": name}, pair(n, "x" * n))
        for name, n in drawn
    ]
    given_messages = messages(list(values))
    decoder = Decoder()
    whole = decoder.decode(given_messages, SOURCE)
    bounds = DecodeBounds(columns, decoded_bytes)
    rows: dict[int, Any] = {}
    rejected: dict[int, str] = {}
    start = 0
    while start < len(values):
        step = decoder.decode(given_messages[start:], SOURCE, bounds)
        assert step.count >= 1
        found = decoded_rows(step)
        assert sorted([*found, *reasons(step)]) == list(range(step.count))
        if len(found) > 1:
            assert sum(one.schema.columns for one in step.tables) <= max(columns, 2)
            assert sum(len(row["text"]) for row in found.values()) <= decoded_bytes
        rows |= {start + index: row for index, row in found.items()}
        rejected |= {start + index: reason for index, reason in reasons(step).items()}
        start += step.count
    assert rows == decoded_rows(whole)
    assert rejected == reasons(whole)


def test_the_memory_of_a_step_is_bounded_also_where_the_records_are_small() -> None:
    """400 bytes of nulls become 50 kB of numbers, which each message may."""
    row = {"type": "record", "name": "row", "fields": [
        {"name": f"x{n}", "type": "double"} for n in range(16)]}  # fmt: skip
    schema = {
        **PAIR,
        "fields": [{"name": "rows", "type": {"type": "array", "items": ["null", row]}}],
    }
    packet = container(schema, long(400) + long(0) * 400 + b"\0")
    decoder = Decoder()
    step = decoder.decode(messages([packet] * 100), SOURCE, DecodeBounds(100, 1_000_000))
    assert 2 <= step.count < 20
    assert sum(one.table.nbytes for one in step.tables) <= 1_000_000


def test_numbers_that_mean_nothing_stay_as_they_are() -> None:
    fields = [{"name": "x", "type": "float"}, {"name": "y", "type": ["null", "double"]}]
    schema = {"type": "record", "name": "r", "fields": fields}
    values = [(-999.0, -999.0), (float("nan"), float("nan")), (0.0, None), (-0.0, float("inf"))]
    packets = []
    for x, y in values:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), {"x": x, "y": y})
        packets.append(container(schema, out.getvalue()))

    rows = decoded_rows(Decoder().decode(messages(list(packets)), SOURCE))

    for index, (x, y) in enumerate(values):
        assert same({"x": x, "y": y}, rows[index])
    assert str(rows[3]["x"]) == "-0.0"


def test_messages_of_which_none_decodes() -> None:
    assert Decoder().decode([], SOURCE) == Decoded((), (), {}, 0)
    decoded = Decoder().decode([RawMessage(5, None, b"x"), RawMessage(6, None, None)], SOURCE)
    assert decoded.tables == ()
    assert reasons(decoded) == {0: "not_avro", 1: "tombstone"}
