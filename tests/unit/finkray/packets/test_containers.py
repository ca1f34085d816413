"""Containers as other writers make them: flushed, and with metadata of their own."""

import bz2
import lzma
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.avro.container import MAX_EMPTY_BLOCKS
from finkray.dead_letters.inspection import inspect_message
from finkray.packets.decode import Decoder
from tests.support.avro_cases import SOURCE, SYNC, container, deflate, long, messages, sized
from tests.support.dead_letters import PAIR, record
from tests.support.examples import examples

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda data: data,
    "deflate": deflate,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def with_blocks(before: list[bytes], body: bytes, behind: list[bytes], codec: str) -> bytes:
    """A container with a record's block between blocks of no records that hold these bytes."""
    packet = container(PAIR, body, codec=codec)
    head = packet[: packet.index(SYNC) + len(SYNC)]
    blocks = [long(0) + sized(data) + SYNC for data in (*before, *behind)]
    return b"".join([head, *blocks[: len(before)], packet[len(head) :], *blocks[len(before) :]])


def reasons(packet: bytes) -> list[str]:
    return [reject.reason for reject in Decoder().decode(messages([packet]), SOURCE).rejects]


@settings(deadline=None, max_examples=examples(12))
@given(st.sampled_from(sorted(CODECS)), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_blocks_without_a_record_are_passed_over(
    codec: str, before: int, behind: int, packed: bool
) -> None:
    empty = CODECS[codec](b"") if packed else b""
    body = CODECS[codec](record(7))
    packet = with_blocks([empty] * before, body, [empty] * behind, codec)

    decoded = Decoder().decode(messages([packet]), SOURCE)

    assert not decoded.rejects
    plain = Decoder().decode(messages([container(PAIR, record(7))]), SOURCE)
    assert decoded.tables[0].table.equals(plain.tables[0].table)


@pytest.mark.parametrize("codec", CODECS)
def test_a_block_of_no_records_that_holds_data_is_refused(codec: str) -> None:
    body = CODECS[codec](record(7))

    assert reasons(with_blocks([], body, [body], codec)) == ["trailing_bytes"]
    assert reasons(with_blocks([body], body, [], codec)) == ["trailing_bytes"]


def test_empty_blocks_alone_are_no_record_and_too_many_are_refused() -> None:
    packet = with_blocks([b""] * 2, record(7), [], "null")
    only_empty = packet[: -len(long(1) + sized(record(7)) + SYNC)]

    assert reasons(only_empty) == ["no_record"]
    assert reasons(with_blocks([], record(7), [b""] * MAX_EMPTY_BLOCKS, "null")) == []
    assert reasons(with_blocks([], record(7), [b""] * (MAX_EMPTY_BLOCKS + 1), "null")) == [
        "trailing_bytes"
    ]


def test_a_dead_letter_is_inspected_behind_an_empty_block() -> None:
    packet = with_blocks([b""], record(7) + b"x", [], "null")

    found = inspect_message(messages([packet])[0], SOURCE, Decoder())

    assert found.now is not None
    assert found.fields["candid"] == 7


@pytest.mark.parametrize("schema_first", [True, False])
def test_metadata_that_differs_in_each_packet_does_not_slow_decoding(schema_first: bool) -> None:
    """With a schema of 200 fields, each packet's own header once took 15 times as long."""
    fields = [{"name": f"x{i}", "type": "long", "doc": "a field"} for i in range(200)]
    schema = {"type": "record", "name": "wide", "fields": fields}
    plain = container(schema, b"\2" * 200)
    (pair,) = [plain[5 : plain.index(SYNC) - 1]]

    def with_counter(count: int) -> bytes:
        own = sized(b"count") + sized(b"%d" % count)
        pairs = pair + own if schema_first else own + pair
        return plain[:4] + long(2) + pairs + b"\0" + plain[plain.index(SYNC) :]

    decoder = Decoder()

    def cpu_s(packets: list[bytes | None]) -> float:
        taken = []
        for _ in range(3):
            began = time.process_time()
            assert not decoder.decode(messages(packets), SOURCE).rejects
            taken.append(time.process_time() - began)
        return min(taken)

    # The cache holds fewer headers than a round has, so no round finds those of the one before.
    assert cpu_s([with_counter(i) for i in range(300)]) < 5 * cpu_s([plain] * 300)
