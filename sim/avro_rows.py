"""Encode many records of one flat Avro schema at once, column by column.

An encoder that goes through records one value at a time makes about a thousand alerts with their
histories in a second; this one fills a matrix of bytes with numpy, a row to a record, and cuts it.
The format is Avro's binary encoding (specification 1.11): numbers of type int and long as zigzag
varints (timestamps are longs), float and double as little-endian IEEE 754, booleans as one byte,
strings with their length before them, a union as the index of its branch and the value.

`finkray.avro.encode` writes whole alerts from Arrow tables and is the faster one there. The
simulator encodes pieces: the history of one object (30 to 64 rows), whose bytes it keeps and joins
into later alerts. For such a block this takes 0.8 ms and `RecordEncoder` 2.3 ms (4 and 6 ms for
1000 rows of ZTF's candidate), because columns of one value for all rows stay one value here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from finkray.avro.container import encode_bytes, encode_long

Bytes = npt.NDArray[np.uint8]
Column = int | float | str | None | npt.NDArray[Any]
"""A value for all records, or an array with one for each. Strings: an array of kind `S`. What is
masked in a masked array is null."""


class FieldSpec(NamedTuple):
    """One field of a record: its name, Avro's primitive type, and what it means.

    A type with `?` may be null, and is null by default; with `?!` it may be null but has no
    default.
    """

    name: str
    type: str
    doc: str = ""


def encode_rows(
    fields: Sequence[FieldSpec], columns: Mapping[str, Column], *, rows: int, null_first: bool
) -> list[bytes]:
    """One encoded record for each row, without any frame.

    Parameters
    ----------
    fields
        The record's fields in order.
    columns
        A column for each field that is not null everywhere.
    rows
        How many records.
    null_first
        Whether the unions of optional fields name null before the type.

    Raises
    ------
    KeyError
        A column has no field, or a field that may not be null has no column.
    """
    if unknown := columns.keys() - {field.name for field in fields}:
        raise KeyError(f"no such field: {', '.join(sorted(unknown))}")
    null_branch, value_branch = (b"\x00", b"\x02") if null_first else (b"\x02", b"\x00")
    parts: list[_Part] = []
    for field in fields:
        optional = "?" in field.type
        column = columns.get(field.name)
        if column is None:
            if not optional:
                raise KeyError(f"{field.name} may not be null")
            parts.append(_Part.constant(null_branch))
            continue
        if isinstance(column, np.ma.MaskedArray):
            if not optional:
                raise KeyError(f"{field.name} may not be null")
            null = np.ma.getmaskarray(column)[:, np.newaxis]
            branches = np.frombuffer(null_branch + value_branch, np.uint8)
            branch = np.where(null, branches[0], branches[1])
            value = _encode(field.type.rstrip("?!"), np.ma.getdata(column))
            parts += [_Part(branch), value.without(null)]
            continue
        if optional:
            parts.append(_Part.constant(value_branch))
        parts.append(_encode(field.type.rstrip("?!"), column))
    return _cut(parts, rows)


class _Part:
    """Some bytes of each record: a matrix, and which of its bytes count (None: all)."""

    def __init__(self, data: Bytes, used: npt.NDArray[np.bool_] | None = None) -> None:
        self.data = data
        self.used = used

    def without(self, null: npt.NDArray[np.bool_]) -> "_Part":
        """The same with nothing where it is null, shape (rows, 1)."""
        used = np.ones(self.data.shape, np.bool_) if self.used is None else self.used
        return _Part(self.data, used & ~null)

    @classmethod
    def constant(cls, data: bytes) -> "_Part":
        return cls(np.frombuffer(data, np.uint8)[np.newaxis, :])


def _encode(primitive: str, column: Column) -> _Part:
    if primitive == "string":
        if isinstance(column, np.ndarray):
            return _strings(column)
        return _Part.constant(encode_bytes(str(column).encode()))
    if primitive == "boolean":
        values = np.atleast_1d(np.asarray(column, np.bool_))
        return _Part(values.astype(np.uint8)[:, np.newaxis])
    if primitive in ("int", "long", "timestamp"):
        if isinstance(column, np.ndarray):
            return _Part(*_varints(column.astype(np.int64)))
        return _Part.constant(encode_long(int(cast(int, column))))
    width = {"float": "<f4", "double": "<f8"}[primitive]
    values = np.ascontiguousarray(np.atleast_1d(np.asarray(column)), dtype=width)
    return _Part(values.view(np.uint8).reshape(len(values), values.itemsize))


def _varints(values: npt.NDArray[np.int64]) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    zigzag = ((values << 1) ^ (values >> 63)).view(np.uint64)
    # Ten groups of seven bits; the last has only one bit left of the sixty-four.
    groups = zigzag[:, np.newaxis] >> np.arange(0, 70, 7, dtype=np.uint64)
    length = 1 + np.count_nonzero(groups[:, 1:], axis=1)
    width = int(length.max(initial=1))
    place = np.arange(width)
    more = place < length[:, np.newaxis] - 1
    data = (groups[:, :width] & np.uint64(0x7F)).astype(np.uint8) | (more * np.uint8(0x80))
    return data, place < length[:, np.newaxis]


def _strings(values: npt.NDArray[np.bytes_]) -> _Part:
    lengths = np.char.str_len(values).astype(np.int64)
    prefix, prefix_used = _varints(lengths)
    text = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize)
    text_used = np.arange(text.shape[1]) < lengths[:, np.newaxis]
    return _Part(np.hstack([prefix, text]), np.hstack([prefix_used, text_used]))


def _cut(parts: Sequence[_Part], rows: int) -> list[bytes]:
    width = sum(part.data.shape[1] for part in parts)
    matrix = np.empty((rows, width), np.uint8)
    used = np.ones((rows, width), np.bool_)
    column = 0
    for part in parts:
        here = slice(column, column + part.data.shape[1])
        matrix[:, here] = part.data
        if part.used is not None:
            used[:, here] = part.used
        column = here.stop
    flat = matrix[used].tobytes()
    ends = np.cumsum(np.count_nonzero(used, axis=1)).tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]
