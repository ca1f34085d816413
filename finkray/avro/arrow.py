"""Convert columns from the types that the columnar reader returns to the promised ones.

They differ in unions (Arrow's dense unions, also where one of two branches is null) and enums
(dictionaries). Null is always a branch of a union, so no array from the reader has nulls of its
own.

A date or time outside the years 1 to 9999 becomes null. Readers cannot take it: Spark computes
microseconds from milliseconds, and refuses the whole column of a file if one overflows; Python's
`datetime`, and so `to_pylist` and pandas' dates, end at these years.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.avro.schema import NOT_A_BRANCH_BYTES

Convert = Callable[[pa.Array], pa.Array]

_FIRST_DAY = -719_162
_LAST_DAY = 2_932_896
"""0001-01-01 and 9999-12-31 as days since 1970."""

_IN_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


def record_converter(
    given: Iterable[pa.Field], promised: Iterable[pa.Field]
) -> Callable[[Sequence[pa.Array]], list[pa.Array]]:
    """Return a function that converts the arrays of the reader's fields to the promised ones.

    The reader may have more fields behind the promised ones: the guard.
    """
    converts = [
        converter(field.type, target.type) for field, target in zip(given, promised, strict=False)
    ]

    def convert(fields: Sequence[pa.Array]) -> list[pa.Array]:
        return [
            array if convert_field is None else convert_field(array)
            for array, convert_field in zip(fields, converts, strict=False)
        ]

    return convert


def converter(given: pa.DataType, promised: pa.DataType) -> Convert | None:
    """Return a function from the given type to the promised one; None if nothing is to change."""
    if given == promised and not _has_times(given):
        return None
    nested = {
        pa.types.is_union: _union,
        pa.types.is_struct: _struct,
        pa.types.is_map: _map,
        pa.types.is_list: _list,
    }
    for is_type, build in nested.items():
        if is_type(given):
            return build(given, promised)
    return _representable if _is_time(given) else lambda array: array.cast(promised)


def _is_time(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(data_type) or pa.types.is_date32(data_type))


def _has_times(data_type: pa.DataType) -> bool:
    if _is_time(data_type):
        return True
    return any(_has_times(data_type.field(i).type) for i in range(data_type.num_fields))


def _representable(times: pa.Array) -> pa.Array:
    """Return dates or times; null for those outside the years 1 to 9999."""
    is_date = pa.types.is_date32(times.type)
    numbers = times.cast(pa.int32() if is_date else pa.int64())
    per_day = 1 if is_date else _IN_A_DAY[times.type.unit]
    first, last = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
    found = pc.min_max(numbers).as_py()
    if found["min"] is None or (first <= found["min"] and found["max"] <= last):
        return times
    inside = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
    return pc.if_else(inside, times, pa.scalar(None, times.type))


def _struct(given: pa.DataType, promised: pa.DataType) -> Convert:
    fields = list(promised)
    convert = record_converter(given, fields)
    width = given.num_fields

    def struct(array: pa.Array) -> pa.Array:
        columns = convert([array.field(i) for i in range(width)])
        return pa.StructArray.from_arrays(columns, fields=fields)

    return struct


def _list(given: pa.DataType, promised: pa.DataType) -> Convert:
    convert = _or_identity(converter(given.value_type, promised.value_type))
    return lambda array: pa.ListArray.from_arrays(
        array.offsets, convert(array.values), type=promised
    )


def _map(given: pa.DataType, promised: pa.DataType) -> Convert:
    convert = _or_identity(converter(given.item_type, promised.item_type))
    return lambda array: pa.MapArray.from_arrays(
        array.offsets, array.keys, convert(array.items), type=promised
    )


def _union(given: pa.DataType, promised: pa.DataType) -> Convert:
    branches = [field.type for field in given]
    codes = [code for code, branch in enumerate(branches) if not pa.types.is_null(branch)]
    null_code = next((c for c, branch in enumerate(branches) if pa.types.is_null(branch)), None)
    last = branches[-1]
    if pa.types.is_fixed_size_binary(last) and last.byte_width == NOT_A_BRANCH_BYTES:
        return _nullable(codes[0], _or_identity(converter(branches[codes[0]], promised)))
    if len(branches) == 1:
        convert = _or_identity(converter(branches[0], promised))
        return lambda array: convert(array.field(0))
    members = list(promised)
    converts = [
        _or_identity(converter(branches[code], member.type))
        for code, member in zip(codes, members, strict=True)
    ]

    def union(array: pa.Array) -> pa.Array:
        of_rows = array.type_codes.to_numpy()
        columns = [
            _spread(array, of_rows == code, convert(array.field(code)))
            for code, convert in zip(codes, converts, strict=True)
        ]
        mask = None if null_code is None else pa.array(of_rows == null_code)
        return pa.StructArray.from_arrays(columns, fields=members, mask=mask)

    return union


def _nullable(code: int, convert: Convert) -> Convert:
    def nullable(array: pa.Array) -> pa.Array:
        values = convert(array.field(code))
        if len(values) == len(array):
            return values
        return _spread(array, array.type_codes.to_numpy() == code, values)

    return nullable


def _spread(union: pa.Array, has_value: np.ndarray, values: pa.Array) -> pa.Array:
    """Spread one branch's values over all rows of a union; null in rows of other branches.

    numpy moves numbers to their rows. With Arrow's `take` by the offsets, decoding of ZTF's packets
    with their histories was 5 to 10 % slower.
    """
    if not _are_plain_numbers(values):
        return values.take(pa.array(union.offsets.to_numpy(), mask=~has_value))
    numbers = values.to_numpy(zero_copy_only=True)
    spread = np.zeros(len(union), numbers.dtype)
    spread[has_value] = numbers
    valid = np.packbits(has_value, bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(spread)]
    nulls = len(union) - len(values)
    return pa.Array.from_buffers(values.type, len(union), buffers, nulls)


def _are_plain_numbers(values: pa.Array) -> bool:
    number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    return number and values.null_count == 0


def _or_identity(convert: Convert | None) -> Convert:
    return convert if convert is not None else lambda array: array
