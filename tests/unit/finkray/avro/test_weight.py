"""What records will take in memory is told beforehand: never too little, nor far too much."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finkray.avro.reader import RecordReader, RecordsTooLarge
from finkray.avro.schema import WriterSchema
from tests.support.avro_cases import long, records, sized
from tests.support.examples import examples

TIMES = 64
"""Each record so often: what a column takes but once does not count then."""


def sizes_bytes(reader: RecordReader, values: list[bytes]) -> list[int]:
    with pytest.raises(RecordsTooLarge) as heavy:
        reader.read(values, [0] * len(values))
    assert list(heavy.value.sizes_bytes) == list(range(len(values)))
    return list(heavy.value.sizes_bytes.values())


def reader_of(schema: Any) -> RecordReader:
    return RecordReader(WriterSchema.from_text(json.dumps(schema)))


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_batch_is_larger_than_was_told(data: st.DataObject) -> None:
    case = data.draw(records())
    values = [one.data for one in data.draw(st.lists(case.values, min_size=1, max_size=4))]
    reader = reader_of(case.schema)

    told = sum(sizes_bytes(reader, values * TIMES))

    batch = reader.read(values * TIMES)
    assert batch.nbytes <= 1.1 * told + 64
    assert told <= batch.nbytes + 9 * TIMES * sum(len(value) + 8 for value in values)


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_record_weighs_the_same_among_any_others(data: st.DataObject) -> None:
    case = data.draw(records())
    values = [one.data for one in data.draw(st.lists(case.values, min_size=1, max_size=4))]
    reader = reader_of(case.schema)

    alone = [sizes_bytes(reader, [value])[0] for value in values]

    assert sizes_bytes(reader, values) == alone
    assert len(reader.read(values, alone)) == len(values)


NUMBERS = {
    "type": "record",
    "name": "wide",
    "fields": [{"name": f"x{n}", "type": "double"} for n in range(200)],
}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ({"type": "array", "items": ["null", NUMBERS]}, long(1000) + bytes(1001)),
        (
            ["null", "long", {"type": "map", "values": ["null", NUMBERS]}],
            long(2) + long(1000) + 1000 * (sized(b"k") + b"\0") + b"\0",
        ),
        (
            {"type": "array", "items": {"type": "array", "items": ["null", NUMBERS]}},
            10 * (long(1) + long(100) + bytes(101)) + b"\0",
        ),
        (
            {"type": "array", "items": {"type": "enum", "name": "e", "symbols": ["x" * 1600]}},
            long(1000) + bytes(1001),
        ),
    ],
    ids=["an array of nulls", "a map in a union", "arrays of arrays", "symbols"],
)
def test_a_thousand_bytes_that_become_millions(kind: Any, data: bytes) -> None:
    reader = reader_of({**NUMBERS, "name": "top", "fields": [{"name": "f", "type": kind}]})
    empty = long(2) + b"\0" if isinstance(kind, list) else b"\0"

    weights = sizes_bytes(reader, [empty, data, empty])

    assert max(weights[0], weights[2]) < 2000
    assert reader.read([data]).nbytes == pytest.approx(weights[1], rel=0.01)
    assert weights[1] > 1_500_000
