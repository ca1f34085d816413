"""A claim never becomes more than `MAX_FILES` files, whatever its timestamps and schemas."""

import itertools
import pickle
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim
from finkray.ingest.intake import gaps_between
from finkray.ledger.log import Ledger
from finkray.packets.batch import AlertBatch, make_batch
from finkray.packets.bounds import DecodeBounds
from finkray.packets.decode import Decoder
from finkray.packets.divide import MAX_FILES, BatchSteps, cut_points, divide, write_cost
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.storage.local import LocalStorage
from tests.support.avro_cases import SOURCE, container, long

HOUR_MS = 3_600_000
FIRST_MS = 1_000_000_000_000
SCHEMAS = [
    {"type": "record", "name": name, "fields": [{"name": "candid", "type": "long"}]}
    for name in ("one", "two")
]


def batch_of(messages: list[RawMessage], first: int, last: int) -> AlertBatch:
    claim = Claim(SOURCE, first, last)
    return make_batch(claim, messages, gaps_between(claim, messages), Decoder())


def test_a_claim_of_one_hour_stays_as_it_is() -> None:
    packet = container(SCHEMAS[0], long(7))
    batch = batch_of([RawMessage(n, FIRST_MS + n, packet) for n in range(200)], 0, 199)
    assert divide(batch) == [batch]


def test_a_claim_of_two_thousand_hours_is_many_of_few_files(tmp_path: Path) -> None:
    packet = container(SCHEMAS[0], long(7))
    messages = [RawMessage(n, FIRST_MS + n * HOUR_MS, packet) for n in range(2000)]
    batch = batch_of(messages, 0, 1999)

    parts = divide(batch)

    storage = LocalStorage(tmp_path)
    ledger = Ledger.take_over(storage)
    results = [
        write_claim(one, storage, ledger.staging, f"{one.claim.first_offset}").result
        for one in (parts[0], parts[-1])
    ]
    assert [len(result.files) for result in results] == [MAX_FILES, 2000 % MAX_FILES]
    assert len(parts) == 32
    assert all(result.balanced for result in results)
    assert len(pickle.dumps(parts[0])) < 0.1 * len(pickle.dumps(batch))


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 5), st.sampled_from([0, 1, None])), min_size=1
    ),
    st.integers(1, 4),
)
def test_divided_batches_are_consecutive_and_hold_each_message_once(
    drawn: list[tuple[int, int, int | None]], most_files: int
) -> None:
    """Messages of two schemas and bad ones, with gaps between them."""
    messages: list[RawMessage] = []
    offset = 4
    for step, hour, schema in drawn:
        offset += step
        value = b"text" if schema is None else container(SCHEMAS[schema], long(7))
        messages.append(RawMessage(offset, FIRST_MS + 24 * hour * HOUR_MS, value))
    batch = batch_of(messages, 5, offset + 2)

    parts = divide(batch, most_files)

    assert (parts[0].claim.first_offset, parts[-1].claim.last_offset) == (5, offset + 2)
    for one, after in itertools.pairwise(parts):
        assert after.claim.first_offset == one.claim.last_offset + 1
    assert sum((part.gaps for part in parts), ()) == batch.gaps
    for part in parts:
        offsets = [*part.alert_offsets, *part.dead_letters["kafka_offset"].to_pylist()]
        in_gaps = sum(gap.offsets for gap in part.gaps)
        assert len(offsets) == len(set(offsets)) == part.claim.offsets - in_gaps
        assert all(part.claim.first_offset <= one <= part.claim.last_offset for one in offsets)
        assert {name for name, _ in part.tables} == set(part.schemas)
        files = {(m.timestamp_ms, m.value) for m in messages if m.offset in offsets}
        assert len(files) <= most_files
    assert sorted(n for part in parts for n in part.alert_offsets) == sorted(batch.alert_offsets)


def wide_packet(number: int) -> bytes:
    """A packet of 1001 columns in 5 kB, with a schema of its own."""
    record = {"type": "record", "name": "wide", "fields": [
        {"name": f"x{n}", "type": "boolean"} for n in range(100)]}  # fmt: skip
    fields = [
        {"name": f"w{number}", "type": "long"},
        {"name": "wide0", "type": record},
        *({"name": f"wide{n}", "type": "wide"} for n in range(1, 10)),
    ]
    return container({"type": "record", "name": "a", "fields": fields}, long(7) + bytes(1000))


def test_packets_with_a_schema_each_become_claims_that_cost_little() -> None:
    messages = [RawMessage(n, FIRST_MS, wide_packet(n)) for n in range(3, 43)]
    claim = Claim(SOURCE, 1, 44)
    bounds = DecodeBounds.of_claim(2**20)
    gaps = gaps_between(claim, messages)
    parts = list(BatchSteps(claim, messages, gaps, Decoder(), bounds=bounds))
    assert (parts[0].claim.first_offset, parts[-1].claim.last_offset) == (1, 44)
    for one, after in itertools.pairwise(parts):
        assert after.claim.first_offset == one.claim.last_offset + 1
    assert [offset for part in parts for offset in part.alert_offsets] == list(range(3, 43))
    assert all(write_cost(part) <= MAX_FILES for part in parts)
    # A file of 1001 columns costs as four: that makes steps of 16, and claims of 16.
    assert max(part.claim.offsets for part in parts) <= 18


def test_where_a_claim_is_cut() -> None:
    placed = list(enumerate("aabacabca", start=10))
    assert cut_points(placed, 3) == []
    assert cut_points(placed, 2) == [14, 16, 18]
    assert cut_points(placed, 1) == [12, 13, 14, 15, 16, 17, 18]
    assert cut_points([], 1) == []
    assert cut_points(placed, 3, lambda file: 2 if file == "a" else 1) == [14, 16, 18]
    assert cut_points(placed, 1, lambda _: 5) == cut_points(placed, 1)
