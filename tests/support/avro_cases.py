"""Avro schemas and values of every type, an encoder independent of ours, and the expected values.

The encoder is written here from the specification, because fastavro's chooses the branch of a
union by itself and writes arrays in one of the two allowed ways only.
"""

import io
import itertools
import json
import math
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import fastavro
from hypothesis import strategies as st

from finkray.claim import TopicPartition
from finkray.packets.message import RawMessage

SYNC = bytes(range(16))
SOURCE = TopicPartition("cluster", "topic", "an-id-of-a-topic", 0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def long(value: int) -> bytes:
    """Encode a number as a zigzag varint."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def sized(data: bytes) -> bytes:
    return long(len(data)) + data


def container(
    schema: Any, body: bytes, *, count: int = 1, sync: bytes = SYNC, codec: str | None = None
) -> bytes:
    """Return a packet with one block; `schema` is parsed JSON, or its text."""
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    metadata = {b"avro.schema": text} | ({b"avro.codec": codec.encode()} if codec else {})
    pairs = b"".join(sized(key) + sized(value) for key, value in metadata.items())
    header = b"Obj\x01" + long(len(metadata)) + pairs + b"\0" + sync
    return header + long(count) + sized(body) + sync


def deflate(data: bytes) -> bytes:
    """Compress as Avro's codec `deflate` does: raw, without zlib's header."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def messages(values: list[bytes | None]) -> list[RawMessage]:
    return [RawMessage(offset, None, value) for offset, value in enumerate(values)]


class Case(NamedTuple):
    """A type of a schema, with a strategy for its `Written` values."""

    schema: Any
    values: st.SearchStrategy["Written"]


class Written(NamedTuple):
    """A value: its bytes, the value that the archive promises, and the one that fastavro reads."""

    data: bytes
    promised: Any
    fastavro: Any


def _simple(schema: Any, values: st.SearchStrategy[Any], encode: Any) -> Case:
    return Case(schema, values.map(lambda value: Written(encode(value), value, value)))


def _logical(base: str, logical: str, values: st.SearchStrategy[Written]) -> Case:
    return Case({"type": base, "logicalType": logical}, values)


def _ticks(per_second: int, *, zone: bool, number: bool) -> st.SearchStrategy[Written]:
    tick_us = 1_000_000 // per_second

    def written(ticks: int) -> Written:
        moment = EPOCH + timedelta(microseconds=ticks * tick_us)
        moment = moment if zone else moment.replace(tzinfo=None)
        return Written(long(ticks), ticks if number else moment, moment)

    span_s = 60_000_000_000
    return st.integers(-span_s * per_second, span_s * per_second).map(written)


def _decimal_bytes(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 8) // 8, "big", signed=True)


_TEXT = st.text(max_size=8)
_FLOAT = st.floats(width=32, allow_nan=True)

LONG = _simple("long", st.integers(-(2**63), 2**63 - 1), long)

PRIMITIVES: list[Case] = [
    _simple("boolean", st.booleans(), lambda v: bytes([v])),
    _simple("int", st.integers(-(2**31), 2**31 - 1), long),
    LONG,
    _simple("float", _FLOAT, lambda v: struct.pack("<f", v)),
    _simple("double", st.floats(), lambda v: struct.pack("<d", v)),
    _simple("bytes", st.binary(max_size=8), sized),
    _simple("string", _TEXT, lambda v: sized(v.encode())),
    _simple("null", st.none(), lambda _: b""),
]

LOGICAL: list[Case] = [
    _logical(
        "int",
        "date",
        st.dates().map(
            lambda day: Written(long((day - date(1970, 1, 1)).days), day, day),
        ),
    ),
    _logical("long", "timestamp-millis", _ticks(1000, zone=True, number=False)),
    _logical("long", "timestamp-micros", _ticks(1_000_000, zone=True, number=False)),
    _logical("long", "local-timestamp-millis", _ticks(1000, zone=False, number=False)),
    _logical("long", "local-timestamp-micros", _ticks(1_000_000, zone=False, number=False)),
    _logical(
        "int",
        "time-millis",
        st.integers(0, 86_399_999).map(
            lambda v: Written(long(v), v, (EPOCH + timedelta(milliseconds=v)).time())
        ),
    ),
    _logical(
        "long",
        "time-micros",
        st.integers(0, 86_399_999_999).map(
            lambda v: Written(long(v), v, (EPOCH + timedelta(microseconds=v)).time())
        ),
    ),
    _logical(
        "string",
        "uuid",
        st.uuids().map(lambda v: Written(sized(str(v).encode()), str(v), v)),
    ),
    Case(
        {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3},
        st.integers(-(10**20) + 1, 10**20 - 1).map(
            lambda v: Written(
                sized(_decimal_bytes(v)), Decimal(v).scaleb(-3), Decimal(v).scaleb(-3)
            )
        ),
    ),
    _simple({"type": "int", "logicalType": "parsec"}, st.integers(0, 9), long),
]


class _Maker:
    """Draw types; each named type gets a name of its own in one of two namespaces."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._numbers = itertools.count()
        self._records: list[tuple[str, Case]] = []

    def any_type(self, depth: int) -> Case:
        kinds = ["primitive", "primitive", "logical", "enum", "fixed", "nullable"]
        if depth:
            kinds += ["record", "array", "map", "union", "nullable", "again"]
        kind: str = self._draw(st.sampled_from(kinds))
        case: Case = getattr(self, f"_{kind}")(depth)
        return case

    def _primitive(self, _depth: int) -> Case:
        case: Case = self._draw(st.sampled_from(PRIMITIVES))
        return case

    def _logical(self, _depth: int) -> Case:
        case: Case = self._draw(st.sampled_from(LOGICAL))
        return case

    def _name(self, kind: str) -> dict[str, str]:
        namespace = self._draw(st.sampled_from(["some.where", "elsewhere"]))
        return {"name": f"{kind}{next(self._numbers)}", "namespace": namespace}

    def _enum(self, _depth: int) -> Case:
        symbols = ["A", "B", "C"]
        schema = {"type": "enum", "symbols": symbols, **self._name("enum")}
        return _simple(schema, st.sampled_from(symbols), lambda v: long(symbols.index(v)))

    def _fixed(self, _depth: int) -> Case:
        schema = {"type": "fixed", "size": 3, **self._name("fixed")}
        return _simple(schema, st.binary(min_size=3, max_size=3), lambda v: v)

    def _nullable(self, depth: int) -> Case:
        inner = self.any_type(depth - 1) if depth else self._primitive(0)
        if inner.schema == "null" or isinstance(inner.schema, list):
            return inner
        null_first = self._draw(st.booleans())
        schema = ["null", inner.schema] if null_first else [inner.schema, "null"]
        null, real = (0, 1) if null_first else (1, 0)
        values = st.one_of(
            st.just(Written(long(null), None, None)),
            inner.values.map(lambda w: w._replace(data=long(real) + w.data)),
        )
        return Case(schema, values)

    def _union(self, depth: int) -> Case:
        """Draw branches that differ as Avro demands, one or two of them nested, null perhaps."""
        plain = self._draw(
            st.lists(st.sampled_from(PRIMITIVES), min_size=1, max_size=4, unique_by=id)
        )
        cases = [*plain, *([self.record(depth - 1)] if self._draw(st.booleans()) else [])]
        if all(case.schema == "null" for case in cases):
            return PRIMITIVES[0]
        real = [case for case in cases if case.schema != "null"]
        simple = len(real) == 1 and len(cases) <= 2

        def branch(place: int, case: Case) -> st.SearchStrategy[Written]:
            def written(inner: Written) -> Written:
                promised = inner.promised
                if case.schema == "null":
                    promised = None
                elif not simple:
                    promised = {
                        f"member{i}": inner.promised if other is case else None
                        for i, other in enumerate(real)
                    }
                return Written(long(place) + inner.data, promised, inner.fastavro)

            return case.values.map(written)

        branches = [branch(place, case) for place, case in enumerate(cases)]
        return Case([case.schema for case in cases], st.one_of(branches))

    def _array(self, depth: int) -> Case:
        items = self.any_type(depth - 1)
        if items.schema == "null":
            return items
        values = st.tuples(st.lists(items.values, max_size=3), st.booleans())
        return Case(
            {"type": "array", "items": items.schema},
            values.map(
                lambda drawn: Written(
                    blocks([item.data for item in drawn[0]], with_size=drawn[1]),
                    [item.promised for item in drawn[0]],
                    [item.fastavro for item in drawn[0]],
                )
            ),
        )

    def _map(self, depth: int) -> Case:
        items = self.any_type(depth - 1)
        if items.schema == "null":
            return items
        values = st.tuples(st.dictionaries(_TEXT, items.values, max_size=3), st.booleans())
        return Case(
            {"type": "map", "values": items.schema},
            values.map(
                lambda drawn: Written(
                    blocks(
                        [sized(k.encode()) + v.data for k, v in drawn[0].items()],
                        with_size=drawn[1],
                    ),
                    [(key, item.promised) for key, item in drawn[0].items()],
                    {key: item.fastavro for key, item in drawn[0].items()},
                )
            ),
        )

    def _record(self, depth: int) -> Case:
        return self.record(depth - 1)

    def record(self, depth: int) -> Case:
        name = self._name("record")
        parts = [self.any_type(depth) for _ in range(self._draw(st.integers(1, 4)))]
        if all(part.schema == "null" for part in parts):
            parts.append(LONG)
        fields = [{"name": f"x{i}", "type": part.schema} for i, part in enumerate(parts)]
        values = st.tuples(*(part.values for part in parts)).map(
            lambda drawn: Written(
                b"".join(item.data for item in drawn),
                # A field that is always null has no column.
                {
                    f"x{i}": item.promised
                    for i, item in enumerate(drawn)
                    if parts[i].schema != "null"
                },
                {f"x{i}": item.fastavro for i, item in enumerate(drawn)},
            )
        )
        case = Case({"type": "record", "doc": "a record", "fields": fields, **name}, values)
        self._records.append((f"{name['namespace']}.{name['name']}", case))
        return case

    def _again(self, depth: int) -> Case:
        """Refer by name to a record that is in the schema already."""
        if not self._records:
            return self.record(depth - 1)
        name, case = self._draw(st.sampled_from(self._records))
        return Case(name, case.values)


def blocks(items: list[bytes], *, with_size: bool) -> bytes:
    """Encode items of an array or a map, each in a block of its own or all in one with its size."""
    if with_size and items:
        joined = b"".join(items)
        return long(-len(items)) + long(len(joined)) + joined + b"\0"
    return b"".join(long(1) + item for item in items) + b"\0"


@st.composite
def records(draw: Any) -> Case:
    """Draw a record schema with values."""
    return _Maker(draw).record(3)


def fastavro_reads(packet: bytes) -> list[Any]:
    return list(fastavro.reader(io.BytesIO(packet)))


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type; NaN equals NaN."""
    if isinstance(one, dict):
        return (isinstance(other, dict) and list(one.items()) == list(other.items())) or (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield where two values differ, for the message of a failed test."""
    if _identical(one, other):
        return
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path}[{i}]")
    elif not same(one, other):
        yield f"{path}: {one!r} is not {other!r}"


def _identical(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type, quickly; NaN equals nothing.

    An alert of LSST has 100 000 values: each record is compared at once.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        values = [other[key] for key in one] if one.keys() == other.keys() else []
        return len(values) == len(other) and _all_identical(list(one.values()), values)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and _all_identical(one, other)
    return same(one, other)


def _all_identical(ones: list[Any], others: list[Any]) -> bool:
    kinds = list(map(type, ones))
    if {dict, list, tuple}.isdisjoint(kinds):
        return kinds == list(map(type, others)) and ones == others
    return all(map(_identical, ones, others))
