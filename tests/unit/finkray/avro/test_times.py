"""A date or time that readers cannot take is null; all others are as the packet has them."""

import json
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema
from tests.support.avro_cases import long

MS_OF_YEAR_1 = -62_135_596_800_000
MS_AFTER_YEAR_9999 = 253_402_300_800_000
DAYS = 86_400_000

KINDS = {
    "timestamp-millis": ("long", 1),
    "timestamp-micros": ("long", 1000),
    "local-timestamp-millis": ("long", 1),
    "local-timestamp-micros": ("long", 1000),
    "date": ("int", 1 / DAYS),
}


def read(avro_type: Any, records: list[bytes]) -> pa.Array:
    fields = [{"name": "number", "type": "long"}, {"name": "time", "type": avro_type}]
    schema = WriterSchema.from_text(json.dumps({"type": "record", "name": "a", "fields": fields}))
    batch = RecordReader(schema).read([long(1) + record for record in records])
    assert batch.schema.equals(schema.arrow)
    batch.validate(full=True)
    return batch["time"]


@pytest.mark.parametrize("logical", KINDS)
def test_times_outside_the_years_1_to_9999_are_null(logical: str) -> None:
    base, scale = KINDS[logical]
    most = 2**63 - 1 if base == "long" else 2**31 - 1
    first = round(MS_OF_YEAR_1 * scale)
    last = round(MS_AFTER_YEAR_9999 * scale) - 1
    kind = {"type": base, "logicalType": logical}
    odd = [long(value) for value in (-most - 1, first - 1, last + 1, most)]
    assert read(kind, odd).to_pylist() == [None] * 4
    times = read(kind, [long(first), long(-1), long(last)]).to_pylist()
    years = [each.year for each in times]
    assert all(isinstance(each, date | datetime) for each in times)
    assert years == [1, 1969, 9999]


@pytest.mark.parametrize(
    ("wrap", "before", "behind", "found"),
    [
        (lambda kind: ["null", kind], long(1), b"", lambda value: value),
        (lambda kind: ["null", "string", kind], long(2), b"", lambda value: value["member1"]),
        (lambda kind: {"type": "array", "items": kind}, long(1), long(0), lambda value: value[0]),
        (
            lambda kind: {"type": "map", "values": ["null", kind]},
            long(1) + long(1) + b"k" + long(1),
            long(0),
            lambda value: value[0][1],
        ),
        (
            lambda kind: {"type": "record", "name": "r", "fields": [{"name": "t", "type": kind}]},
            b"",
            b"",
            lambda value: value["t"],
        ),
    ],
)
def test_so_they_are_in_records_lists_maps_and_unions(
    wrap: Any, before: bytes, behind: bytes, found: Any
) -> None:
    kind = {"type": "long", "logicalType": "timestamp-millis"}
    values = [0, 2**63 - 1, 1_795_482_000_000]
    read_back = read(wrap(kind), [before + long(value) + behind for value in values]).to_pylist()
    assert [found(value) and found(value).year for value in read_back] == [1970, None, 2026]
