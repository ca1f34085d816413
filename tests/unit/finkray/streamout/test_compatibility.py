"""Which changes of a topic's schema its readers survive; fastavro agrees by reading."""

import io
from typing import Any

import fastavro
import pytest

from finkray.streamout.compatibility import compatibility_problems


def record(*fields: Any) -> Any:
    return {"type": "record", "name": "r", "fields": list(fields)}


def field(name: str, avro: Any, **more: Any) -> Any:
    return {"name": name, "type": avro, **more}


LONG = record(field("x", "long"))
ENUM = {"type": "enum", "name": "e", "symbols": ["A", "B"]}
TIME = {"type": "long", "logicalType": "timestamp-micros"}
OLD_VALUES = {"x": 1}

COMPATIBLE: dict[str, tuple[Any, Any]] = {
    "the same": (LONG, LONG),
    "a new field with a default": (
        record(field("x", "long"), field("y", ["null", "string"], default=None)),
        LONG,
    ),
    "a field less": (record(), LONG),
    "a wider number": (record(field("x", "double")), LONG),
    "now optional": (record(field("x", ["null", "long"])), LONG),
    "another order": (
        record(field("y", "long", default=0), field("x", "long")),
        LONG,
    ),
}
INCOMPATIBLE: dict[str, tuple[Any, Any, str]] = {
    "a new field without a default": (
        record(field("x", "long"), field("y", "long")),
        LONG,
        "y would be new, without a default",
    ),
    "a narrower number": (record(field("x", "int")), LONG, "x was long and would be int"),
    "text": (record(field("x", "string")), LONG, "x was long and would be string"),
    "no longer optional": (LONG, record(field("x", ["null", "long"])), "x was null and would"),
    "a branch less": (
        record(field("x", ["null", "string"])),
        LONG,
        "x was long, which the new union of null, string does not hold",
    ),
    "a symbol less": (
        record(field("x", {**ENUM, "symbols": ["A"]})),
        record(field("x", ENUM)),
        "x would lose the symbol B",
    ),
    "another size": (
        record(field("x", {"type": "fixed", "name": "f", "size": 2})),
        record(field("x", {"type": "fixed", "name": "f", "size": 3})),
        "x was of 3 bytes and would be of 2",
    ),
    "a number as a time": (record(field("x", TIME)), LONG, "x was long and would be long"),
    "below a list and a record": (
        record(field("x", {"type": "array", "items": record(field("z", "int"))})),
        record(field("x", {"type": "array", "items": record(field("z", "string"))})),
        r"x\[\].z was string and would be int",
    ),
    "below a map": (
        record(field("x", {"type": "map", "values": "int"})),
        record(field("x", {"type": "map", "values": "string"})),
        r"x\[\] was string",
    ),
}


@pytest.mark.parametrize("change", COMPATIBLE)
def test_readers_survive(change: str) -> None:
    new, old = COMPATIBLE[change]
    assert compatibility_problems(new, old) == []
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, old, OLD_VALUES)
    fastavro.schemaless_reader(io.BytesIO(stream.getvalue()), old, new)


@pytest.mark.parametrize("change", INCOMPATIBLE)
def test_readers_do_not_survive(change: str) -> None:
    import re

    new, old, message = INCOMPATIBLE[change]
    (problem,) = compatibility_problems(new, old)
    assert re.match(message, problem)
