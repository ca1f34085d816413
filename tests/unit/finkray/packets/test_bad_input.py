"""Every kind of bad message in one claim with good ones becomes exactly one dead letter."""

import copy
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.claim import Claim
from finkray.packets.batch import make_batch
from finkray.packets.decode import Decoder
from finkray.packets.decoder import make_decoder
from finkray.settings.packets import PacketSettings
from tests.support.avro_cases import SOURCE, container, deflate, long, messages, sized
from tests.support.dead_letters import KNOWN, NEW, PAIR, frame, record
from tests.support.examples import examples

LIMIT = 8 * 1024 * 1024
KEPT = 1024 * 1024
GOOD = container(PAIR, record(0))
ARRAY = {"type": "array", "items": "null"}


def one_field(kind: object) -> dict[str, object]:
    return {**PAIR, "fields": [{"name": "candid", "type": kind}]}


def deflated_zeros(mib: int) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    # What stands behind a full flush does not refer to what is before it, and may be repeated.
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one * mib + packer.flush()


BAD: dict[str, tuple[bytes | None, str]] = {
    "a tombstone": (None, "tombstone"),
    "nothing": (b"", "empty"),
    "text": (b'{"candid": 7}', "not_avro"),
    "a cut packet": (GOOD[:-20], "truncated"),
    "another marker": (GOOD[:-1] + b"?", "bad_sync"),
    "a union's third branch": (container(one_field(["null", "long"]), long(2)), "bad_record"),
    "a frame of an unknown schema": (frame(NEW, 7), "unknown_schema"),
    "a cut frame": (frame(KNOWN, 7)[:-2], "bad_record"),
    "a text of 2^60 bytes": (frame(KNOWN, 7)[:6] + long(2**60) + b"x", "bad_record"),
    "a block of 2^60 bytes": (GOOD[: -len(record(0)) - 17] + long(2**60) + b"x", "truncated"),
    "a header of 2^60 entries": (b"Obj\x01" + long(2**60) + bytes(50), "truncated"),
    "512 MiB of zeros in 0.5 MiB": (
        container(PAIR, deflated_zeros(512), codec="deflate"), "too_large"),
    "an alert above the limit": (
        container(PAIR, long(7) + sized(b"x" * LIMIT)), "too_large"),
}  # fmt: skip

WIDE = {
    "type": "record",
    "name": "ztf.alert.prv_candidate",
    "fields": [{"name": f"x{n}", "type": "double"} for n in range(200)],
}


WIDE_RECORD = {
    "type": "record",
    "name": "wide",
    "fields": [{"name": f"x{n}", "type": "boolean"} for n in range(100)],
}


def of_columns(hundreds: int, name: str = "first") -> bytes:
    """A packet whose few bytes are a hundred columns each, by the names of its types."""
    fields = [
        {"name": name, "type": "long"},
        {"name": "wide0", "type": WIDE_RECORD},
        *({"name": f"wide{n}", "type": "wide"} for n in range(1, hundreds)),
    ]
    schema = {"type": "record", "name": "alert", "fields": fields}
    return container(schema, long(7) + bytes(100 * hundreds))


def test_a_packet_of_too_many_columns_is_a_dead_letter() -> None:
    decoder = make_decoder(PacketSettings(surveys={"": "any"}), LIMIT, {})
    values = [of_columns(15), of_columns(16), of_columns(99), of_columns(101), GOOD]
    decoded = decoder.decode(messages(values), SOURCE)
    found = {reject.index: (reject.reason, reject.detail) for reject in decoded.rejects}
    assert {reason for reason, _ in found.values()} == {"too_many_columns"}
    assert sorted(found) == [1, 2, 3]
    assert "more than 1600 columns" in found[1][1]
    wider = make_decoder(PacketSettings(surveys={"": "any"}, max_columns=1601), LIMIT, {})
    assert [one.index for one in wider.decode(messages(values), SOURCE).rejects] == [2, 3]


def test_a_topic_that_brings_too_many_schemas_gets_dead_letters_for_the_others() -> None:
    packets = PacketSettings(surveys={"": "any"}, new_schemas_per_h=5)
    decoder = make_decoder(packets, LIMIT, {})
    values = [of_columns(1, f"w{n}") for n in range(9)]
    refused = [(reject.index, reject.reason) for reject in decode_twice(decoder, values)]
    assert refused == [(n, "too_many_schemas") for n in range(5, 9)]
    other = SOURCE._replace(topic="other")
    assert not decoder.decode(messages(values[:5]), other).rejects
    redriven = make_decoder(packets, LIMIT, {}, any_number_of_schemas=True)
    assert not redriven.decode(messages(values), SOURCE).rejects


def decode_twice(decoder: Decoder, values: list[bytes]) -> tuple[Any, ...]:
    """Decode the messages again: those of schemas that the topic has stay alerts."""
    first = decoder.decode(messages(list(values)), SOURCE).rejects
    assert decoder.decode(messages(list(values)), SOURCE).rejects == first
    return first


def with_history(items: object) -> dict[str, Any]:
    """The schema of an alert of ZTF, with a history of such items."""
    where = [{"name": name, "type": "double"} for name in ("jd", "ra", "dec")]
    candidate = {"type": "record", "name": "candidate", "fields": where}
    return {
        **PAIR,
        "fields": [
            {"name": "objectId", "type": "string"},
            {"name": "candid", "type": "long"},
            {"name": "candidate", "type": candidate},
            {"name": "prv_candidates", "type": {"type": "array", "items": items}},
        ],
    }


def alert_with(items: bytes, count: int) -> bytes:
    place = struct.pack("<3d", 2_458_451.75, 10.0, 20.0)
    return sized(b"ZTF18abc") + long(7) + place + long(count) + items + long(0)


HOSTILE: dict[str, bytes] = {
    "10^5 nulls of records with 200 numbers": container(
        with_history(["null", WIDE]), alert_with(bytes(100_000), 100_000)
    ),
    "10^6 such nulls, deflated": container(
        with_history(["null", WIDE]), deflate(alert_with(bytes(10**6), 10**6)), codec="deflate"
    ),
    "10^5 symbols of 2000 letters": container(
        with_history({"type": "enum", "name": "e", "symbols": ["x" * 2000]}),
        alert_with(bytes(100_000), 100_000),
    ),
    "2^60 items of no bytes": container(one_field(ARRAY), long(2**60) + long(0)),
    "2^60 items in a block of -2^60": container(
        one_field(ARRAY), b"\xff\xff\xff\xff\xff\xff\xff\xff\x1f" + long(0) + long(0)
    ),
    "a map of 2^60 entries": container(one_field({"type": "map", "values": "null"}), long(2**60)),
    "a fixed of 2^40 bytes": container(
        one_field({"type": "fixed", "name": "f", "size": 2**40}), b"x"
    ),
    "a fixed of 2^30 bytes": container(
        one_field({"type": "fixed", "name": "f", "size": 2**30}), b"x"
    ),
    "a fixed of a size in words": container(
        one_field({"type": "fixed", "name": "f", "size": "many"}), b"x"
    ),
    "a fixed of 10^30 bytes": container(
        one_field({"type": "fixed", "name": "f", "size": 10**30}), b"x"
    ),
    "a schema 5000 deep": container(
        b'{"type":"array","items":' * 5000 + b'"int"' + b"}" * 5000, b"x"
    ),
}
"""Bombs in the schema of a packet: each is a dead letter."""


@pytest.mark.parametrize("survey", ["any", "ztf"])
@pytest.mark.parametrize("bomb", [name for name in HOSTILE if name.startswith("10^")])
def test_a_record_that_would_become_much_more_in_memory_is_too_large(
    bomb: str, survey: str
) -> None:
    decoder = make_decoder(PacketSettings(surveys={"": survey}), LIMIT, {})
    sound = container(with_history(["null", WIDE]), alert_with(bytes(20), 20))
    decoded = decoder.decode(messages([sound, HOSTILE[bomb], sound]), SOURCE)
    assert [(reject.index, reject.reason) for reject in decoded.rejects] == [(1, "too_large")]
    assert [len(table.rows) for table in decoded.tables] == [2]


def test_each_bad_packet_is_one_dead_letter_and_the_others_decode(tmp_path: Path) -> None:
    (tmp_path / f"{KNOWN}.avsc").write_text(json.dumps(PAIR))
    packets = PacketSettings(schema_folder=str(tmp_path), surveys={"": "any"})
    values = [value for case in BAD.values() for value in (GOOD, case[0])]
    claim = Claim(SOURCE, 0, len(values) - 1)
    batch = make_batch(claim, messages(values), (), make_decoder(packets, LIMIT, {}), KEPT)

    letters = batch.dead_letters.to_pylist()
    assert [(row["kafka_offset"], row["reason"]) for row in letters] == [
        (2 * n + 1, reason) for n, (_, reason) in enumerate(BAD.values())
    ]
    ((_, alerts),) = batch.tables
    assert alerts["kafka_offset"].to_pylist() == list(range(0, len(values), 2))
    for row, (value, _) in zip(letters, BAD.values(), strict=True):
        assert row["value"] == (None if value is None else value[:KEPT])
        assert row["size_bytes"] == len(value or b"")


def test_other_surveys_packets_among_good_ones() -> None:
    ours = PacketSettings(surveys={"": "ztf"})
    good = messages([GOOD] * 3)
    batch = make_batch(Claim(SOURCE, 0, 2), good, (), make_decoder(ours, LIMIT, {}), KEPT)
    assert batch.dead_letters["reason"].to_pylist() == ["other_survey"] * 3


def test_no_bomb_takes_much_memory() -> None:
    """In a process of its own, because native memory and short peaks count too."""
    code = """
import resource, sys
from finkray.packets.decoder import make_decoder
from finkray.settings.packets import PacketSettings
from tests.support.avro_cases import SOURCE, messages
from tests.unit.finkray.packets.test_bad_input import BAD, GOOD, HOSTILE, LIMIT
bombs = [*HOSTILE.values(), *(value for value, _ in BAD.values())] * 3
decoder = make_decoder(PacketSettings(surveys={"": "any"}), LIMIT, {})
decoder.decode(messages([GOOD]), SOURCE)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for bomb in bombs:
    for bombs_in_claim in (1, 20):
        claim = [GOOD, *[bomb] * bombs_in_claim, GOOD]
        decoded = decoder.decode(messages(claim), SOURCE)
        assert [n for table in decoded.tables for n in table.rows] == [0, len(claim) - 1]
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    checkout = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # Of a compressed record at most 16 times its size is unpacked: 8 MB here.
    assert int(done.stdout) < 256


SOUND: dict[str, Any] = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "candid", "type": "long"},
        {"name": "shape", "type": ["null", {"type": "fixed", "name": "f", "size": 3}]},
        {"name": "kind", "type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}},
        {"name": "prv", "type": {"type": "array", "items": {"type": "map", "values": "int"}}},
        {
            "name": "mag",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        },
    ],
}
JUNK = st.sampled_from(
    [None, True, -1, 0, 10**30, 2.5, "", "int", "many", [], {}, ["null"], ["int", "int"], [[]],
     {"type": "record"}, {"type": "fixed", "name": "f"}, "alert"]
)  # fmt: skip


@settings(max_examples=examples(150))
@given(st.data())
def test_any_schema_is_either_read_or_refused(data: st.DataObject) -> None:
    """With any of its values changed, a packet becomes a table or a dead letter."""
    schema = copy.deepcopy(SOUND)
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(_places(schema))
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = copy.deepcopy(data.draw(JUNK))
        if not isinstance(schema, dict) or not list(_places(schema)):
            break
    decoded = Decoder().decode(messages([GOOD, container(schema, b"\0" * 12), GOOD]), SOURCE)
    assert [reject.index for reject in decoded.rejects] in ([], [1])
    assert sum(len(table.rows) for table in decoded.tables) == 3 - len(decoded.rejects)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below a node: its container, and its key there."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])
