r"""Avro writer schemas: identity, promised Arrow schema, and the form that the reader gets.

| Avro | Arrow (and so Parquet) |
|---|---|
| boolean, int, long, float, double | bool, int32, int64, float32, float64 |
| string (also with logical type uuid), enum | string |
| bytes, fixed (also with logical type duration) | binary, fixed_size_binary |
| record, array, map | struct, list, map |
| union of null and one type | that type |
| any other union | struct of `member0`, `member1`, ... without null: as Spark's `from_avro` |
| null | no column: the field is left out. A later schema may give it any type |
| date | date32 |
| timestamp-millis, timestamp-micros | timestamp[ms, UTC], timestamp[us, UTC] |
| local-timestamp-millis, local-timestamp-micros | timestamp[ms], timestamp[us] |
| decimal up to 38 digits | decimal128 |
| time-\*, \*-nanos, wider decimals, unknown ones | the type beneath: Spark 3.5 cannot read them |

A date or time outside the years 1 to 9999 is null (`finkray.avro.arrow`).

All members of a union are null except the one that was written. Every column is nullable,
even if the schema allows no null, so that the union of schema versions has the types of each.

These are refused with `SchemaError`: a schema whose top is not a record, recursive types, records
whose fields hold no value, maps whose values are all null, `fixed` of no bytes or of 2 GiB, and
schemas with which a few bytes of a message could become gigabytes (see the limits below).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from finkray.avro.parse import parse_writer_schema
from finkray.errors import SchemaError, TooManyColumns

MAX_DEPTH = 32
"""Deepest nesting of types. ZTF's alerts need 3, LSST's 4."""

MAX_TYPES = 10_000
"""Most types that a schema may have once named types are written out: 2 n names can mean 2^n
columns. LSST's alerts have about 700. It bounds types that are no columns, as records in records;
`max_columns` of `WriterSchema.from_text` bounds the columns."""

MAX_EXPANSION = 2048
"""Most bytes of Arrow that one byte of Avro may become at worst. A null costs one byte of Avro, but
a slot in each column below it: that is 300 for ZTF's packets as Spark writes them (every record may
be null), and would be 1000 for LSST's. The memory that a packet really takes has a much lower
limit, see `finkray.avro.weight` and `finkray.packets.unwrap`."""

GUARD_FIELD = "guard"
GUARD_BYTES = 16
"""The last field that the reader finds in each record, see `finkray.avro.reader`."""

NOT_A_BRANCH_BYTES = 2**31 - 1
"""Size of a third branch, `fixed`, that is added to each union of null and one type.

arrow-avro reads unions of two branches faster, but then takes any branch number for one of the two:
damaged packets came out as sound ones. With a third branch it checks the number, which takes a
quarter more time. The third branch itself can never be read, because no message is that large.
"""


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema with which packets were written.

    Attributes
    ----------
    text
        The schema as JSON with its documentation and defaults, keys sorted, without blanks.
    fingerprint
        SHA-256 of `text` in hexadecimal digits.
    arrow
        The promised schema of a decoded table, see the table above.
    reader_text
        The schema of the same binary format for the reader: named types written out, all names
        replaced, nothing that decoding does not need, and a last field for the guard.
    reader_arrow
        The types that the reader returns for `reader_text`, with the promised names, nullability
        and, where they are stored alike, types (int64 and timestamps, for example): a table of the
        reader becomes one of this schema without a copy. Differs from `arrow` (with the guard)
        only in unions and enums.
    columns
        The number of columns that the promised schema has in Parquet, those in records, lists and
        maps included.
    """

    text: str
    fingerprint: str
    arrow: pa.Schema
    reader_text: str
    reader_arrow: pa.Schema
    columns: int

    @classmethod
    def from_text(cls, text: str | bytes, max_columns: int = MAX_TYPES) -> "WriterSchema":
        """Parse the text of a writer schema.

        Parameters
        ----------
        text
            JSON
        max_columns
            the most columns that it may have, see `columns`

        Raises
        ------
        TooManyColumns
            if it has more than `max_columns`
        SchemaError
            if it is not a valid Avro schema, or one of those that are refused; the message says
            why
        """
        try:
            raw = json.loads(text)
            normalised = json.dumps(raw, sort_keys=True, separators=(",", ":"))
            parsed = parse_writer_schema(raw)
        except RecursionError:
            raise SchemaError("the schema is nested too deeply") from None
        except Exception as error:
            raise SchemaError(f"not a valid Avro schema: {_short(error)}") from error
        if not isinstance(parsed, dict) or parsed.get("type") not in _RECORDS:
            raise SchemaError("the top of the schema is not a record")
        try:
            mapper = _Mapper(max_columns)
            top = mapper.map(parsed)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # fastavro does not check what it does not use, such as a size that is text.
            raise SchemaError(f"not a valid Avro schema: {_short(error)}") from error
        guard = {"type": "fixed", "name": "guard_type", "size": GUARD_BYTES}
        fields = [*top.avro["fields"], {"name": GUARD_FIELD, "type": guard}]
        return cls(
            text=normalised,
            fingerprint=hashlib.sha256(normalised.encode()).hexdigest(),
            arrow=pa.schema(list(top.arrow)),
            reader_text=json.dumps({**top.avro, "fields": fields}, separators=(",", ":")),
            reader_arrow=pa.schema([*top.reader, pa.field(GUARD_FIELD, pa.binary(GUARD_BYTES))]),
            columns=mapper.columns,
        )


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]


_RECORDS = ("record", "error")

_PRIMITIVES: Mapping[str, tuple[pa.DataType, int, int]] = {
    # Avro name: Arrow type, least bytes in Avro, bytes of a slot in Arrow
    "boolean": (pa.bool_(), 1, 1),
    "int": (pa.int32(), 1, 4),
    "long": (pa.int64(), 1, 8),
    "float": (pa.float32(), 4, 4),
    "double": (pa.float64(), 8, 8),
    "bytes": (pa.binary(), 1, 4),
    "string": (pa.string(), 1, 4),
}

_STORED_ALIKE: Mapping[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}


class _Mapped(NamedTuple):
    """An Avro type in its three forms."""

    avro: Any
    """The type in the reader's schema."""
    reader: pa.DataType
    """The type that the reader returns, named and typed as promised where that costs nothing."""
    arrow: pa.DataType
    """The promised type."""
    least_avro_bytes: int
    slot_bytes: int
    """Least bytes of one value, or one null, in Arrow."""


class _Mapper:
    """Maps one schema, parsed by fastavro, type by type."""

    def __init__(self, max_columns: int) -> None:
        self._named: dict[str, dict[str, Any]] = {}
        self._open: list[str] = []
        self._types = 0
        self._max_columns = max_columns
        self.columns = 0

    def map(self, schema: Any) -> _Mapped:
        self._types += 1
        if self._types > MAX_TYPES:
            raise SchemaError(f"the schema has more than {MAX_TYPES} types when written out")
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        avro_type = schema["type"]
        if not isinstance(avro_type, str) or avro_type in self._named:
            return self.map(avro_type)
        build = {
            "record": self._record,
            "error": self._record,
            "array": self._array,
            "map": self._map,
            "enum": self._enum,
            "fixed": self._fixed,
        }.get(avro_type, self._primitive)
        return self._inside(schema, build)

    def _count_column(self) -> None:
        """Count a column of the promised schema, as soon as it is met: a refusal must be cheap."""
        self.columns += 1
        if self.columns > self._max_columns:
            raise TooManyColumns(f"the schema has more than {self._max_columns} columns")

    def _unique_name(self) -> str:
        return f"t{self._types}"

    def _inside(
        self, schema: dict[str, Any], build: Callable[[dict[str, Any]], _Mapped]
    ) -> _Mapped:
        name = schema.get("name", "")
        if name in self._open and name:
            raise SchemaError(
                f"the type {name} contains itself: recursive types have no fixed columns"
            )
        if len(self._open) > MAX_DEPTH:
            raise SchemaError(f"types are nested more than {MAX_DEPTH} deep")
        if name:
            self._named[name] = schema
        self._open.append(name)
        mapped = build(schema)
        self._open.pop()
        return mapped

    def _primitive(self, schema: dict[str, Any]) -> _Mapped:
        avro_type = schema["type"]
        if avro_type == "null":
            return _Mapped("null", pa.null(), pa.null(), 0, 0)
        if avro_type not in _PRIMITIVES:
            raise SchemaError(f"the type {avro_type} is not known")
        self._count_column()
        reader, least, slot = _PRIMITIVES[avro_type]
        logical = schema.get("logicalType")
        if avro_type == "bytes" and logical == "decimal":
            decimal = _decimal_type(schema)
            if decimal is not None:
                avro = {
                    "type": "bytes",
                    "logicalType": "decimal",
                    "precision": decimal.precision,
                    "scale": decimal.scale,
                }
                return _Mapped(avro, decimal, decimal, least, 16)
        if isinstance(logical, str):
            reader = _STORED_ALIKE.get((avro_type, logical), reader)
        return _Mapped(avro_type, reader, reader, least, slot)

    def _fixed(self, schema: dict[str, Any]) -> _Mapped:
        size = schema["size"]
        if not 1 <= size < NOT_A_BRANCH_BYTES:
            raise SchemaError(
                f"the type {schema['name']} is fixed at {size} bytes: expected 1 to "
                f"{NOT_A_BRANCH_BYTES - 1}"
            )
        self._count_column()
        avro: dict[str, Any] = {"type": "fixed", "name": self._unique_name(), "size": size}
        decimal = _decimal_type(schema) if schema.get("logicalType") == "decimal" else None
        if decimal is not None:
            avro |= {
                "logicalType": "decimal",
                "precision": decimal.precision,
                "scale": decimal.scale,
            }
            return _Mapped(avro, decimal, decimal, size, 16)
        return _Mapped(avro, pa.binary(size), pa.binary(size), size, size)

    def _enum(self, schema: dict[str, Any]) -> _Mapped:
        self._count_column()
        avro = {"type": "enum", "name": self._unique_name(), "symbols": schema["symbols"]}
        return _Mapped(avro, pa.dictionary(pa.int32(), pa.string()), pa.string(), 1, 4)

    def _record(self, schema: dict[str, Any]) -> _Mapped:
        names = [field["name"] for field in schema["fields"]]
        if len(set(names)) != len(names):
            raise SchemaError(f"the record {schema['name']} has two fields with the same name")
        avro_name = self._unique_name()
        mapped_fields = {field["name"]: self.map(field["type"]) for field in schema["fields"]}
        # A field that is always null is left out. arrow-avro fails on such a field, and the field
        # takes no bytes. Its column would need a type, and a later schema may give it another type.
        stored = {
            name: mapped_field
            for name, mapped_field in mapped_fields.items()
            if mapped_field.avro != "null"
        }
        if not stored:
            raise SchemaError(f"the record {schema['name']} has no fields that hold a value")
        fields = [
            {"name": f"f{i}", "type": mapped_field.avro}
            for i, mapped_field in enumerate(stored.values())
        ]
        mapped = _Mapped(
            {"type": "record", "name": avro_name, "fields": fields},
            pa.struct(
                [pa.field(name, mapped_field.reader) for name, mapped_field in stored.items()]
            ),
            pa.struct(
                [pa.field(name, mapped_field.arrow) for name, mapped_field in stored.items()]
            ),
            sum(mapped_field.least_avro_bytes for mapped_field in stored.values()),
            sum(mapped_field.slot_bytes for mapped_field in stored.values()),
        )
        if len(self._open) == 1:
            _check_expansion(schema["name"], mapped.least_avro_bytes, mapped.slot_bytes)
        return mapped

    def _array(self, schema: dict[str, Any]) -> _Mapped:
        items = self.map(schema["items"])
        if items.least_avro_bytes == 0:
            raise SchemaError("an array whose items take no bytes can have any length")
        _check_expansion("an array", items.least_avro_bytes, items.slot_bytes)
        return _Mapped(
            {"type": "array", "items": items.avro},
            pa.list_(pa.field("element", items.reader)),
            pa.list_(pa.field("element", items.arrow)),
            1,
            4,
        )

    def _map(self, schema: dict[str, Any]) -> _Mapped:
        self._count_column()  # of the keys
        values = self.map(schema["values"])
        if values.avro == "null":
            raise SchemaError("a map has no values but null")
        _check_expansion("a map", 1 + values.least_avro_bytes, 4 + values.slot_bytes)
        return _Mapped(
            {"type": "map", "values": values.avro},
            pa.map_(pa.string(), values.reader),
            pa.map_(pa.string(), values.arrow),
            1,
            4,
        )

    def _union(self, branches: list[Any]) -> _Mapped:
        mapped = [self.map(branch) for branch in branches]
        avro = [branch.avro for branch in mapped]
        least = 1 + min((branch.least_avro_bytes for branch in mapped), default=0)
        slot = sum(branch.slot_bytes for branch in mapped)
        real = [branch for branch in mapped if branch.avro != "null"]
        if not real:
            raise SchemaError("a union has no branch but null")
        if len(real) == 1 and len(mapped) == 2:
            name = f"other_{self._unique_name()}"
            avro.append({"type": "fixed", "name": name, "size": NOT_A_BRANCH_BYTES})
            branch_types = [*(branch.reader for branch in mapped), pa.binary(NOT_A_BRANCH_BYTES)]
            reader = pa.dense_union(
                [pa.field(str(i), avro_type) for i, avro_type in enumerate(branch_types)]
            )
            return _Mapped(avro, reader, real[0].arrow, least, slot)
        reader = pa.dense_union(
            [pa.field(str(i), branch.reader) for i, branch in enumerate(mapped)]
        )
        if len(mapped) == 1:
            return _Mapped(avro, reader, real[0].arrow, least, slot)
        members = [pa.field(f"member{i}", branch.arrow) for i, branch in enumerate(real)]
        return _Mapped(avro, reader, pa.struct(members), least, slot + 5)


def _decimal_type(schema: dict[str, Any]) -> pa.Decimal128Type | None:
    """Return the Arrow type of a decimal; None if it is invalid or too wide (then it is bytes)."""
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int):
        return None
    if not 0 < precision <= 38 or not 0 <= scale <= precision:
        return None
    return pa.decimal128(precision, scale)


def _check_expansion(what: str, avro_bytes: int, arrow_bytes: int) -> None:
    if arrow_bytes > MAX_EXPANSION * max(1, avro_bytes):
        raise SchemaError(
            f"{what}: {avro_bytes} bytes of a message could become {arrow_bytes} bytes in memory"
        )
