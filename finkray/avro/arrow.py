"""From the types that the columnar reader gives to the promised ones.

What differs are unions (of Arrow's dense kind, also where one of two branches is null), enums
(dictionaries) and fields that are always null (left out). As null is always a branch of a
union, none of the arrays that come from the reader has a null itself.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from finkray.avro.schema import NOT_A_BRANCH_BYTES

Convert = Callable[[pa.Array], pa.Array]


def record_converter(
    given: Iterable[pa.Field], promised: Sequence[pa.Field]
) -> Callable[[Sequence[pa.Array], int], list[pa.Array]]:
    """A function from the given fields of a record, and their length, to the promised ones."""
    places = {field.name: place for place, field in enumerate(given)}
    types = [field.type for field in given]
    plan = [
        (place, field.type, None if place is None else converter(types[place], field.type))
        for field in promised
        for place in [places.get(field.name)]
    ]

    def convert(fields: Sequence[pa.Array], rows: int) -> list[pa.Array]:
        out = []
        for place, kind, change in plan:
            if place is None:
                out.append(pa.nulls(rows, kind))
            elif change is None:
                out.append(fields[place])
            else:
                out.append(change(fields[place]))
        return out

    return convert


def converter(given: pa.DataType, promised: pa.DataType) -> Convert | None:
    """A function that makes the promised type from the given one; None if they are the same."""
    if given == promised:
        return None
    if pa.types.is_union(given):
        return _union(given, promised)
    if pa.types.is_struct(given):
        return _struct(given, promised)
    if pa.types.is_map(given):
        return _map(given, promised)
    if pa.types.is_list(given):
        return _list(given, promised)
    return lambda array: array.cast(promised)


def _struct(given: pa.DataType, promised: pa.DataType) -> Convert:
    fields = list(promised)
    convert = record_converter(given, fields)
    width = given.num_fields

    def struct(array: pa.Array) -> pa.Array:
        columns = convert([array.field(i) for i in range(width)], len(array))
        return pa.StructArray.from_arrays(columns, fields=fields)

    return struct


def _list(given: pa.DataType, promised: pa.DataType) -> Convert:
    change = _or_same(converter(given.value_type, promised.value_type))
    return lambda array: pa.ListArray.from_arrays(
        array.offsets, change(array.values), type=promised
    )


def _map(given: pa.DataType, promised: pa.DataType) -> Convert:
    change = _or_same(converter(given.item_type, promised.item_type))
    return lambda array: pa.MapArray.from_arrays(
        array.offsets, array.keys, change(array.items), type=promised
    )


def _union(given: pa.DataType, promised: pa.DataType) -> Convert:
    kinds = [field.type for field in given]
    codes = [code for code, kind in enumerate(kinds) if not pa.types.is_null(kind)]
    null_code = next((code for code, kind in enumerate(kinds) if pa.types.is_null(kind)), None)
    if pa.types.is_fixed_size_binary(kinds[-1]) and kinds[-1].byte_width == NOT_A_BRANCH_BYTES:
        return _nullable(codes[0], _or_same(converter(kinds[codes[0]], promised)))
    if len(kinds) == 1:
        change = _or_same(converter(kinds[0], promised))
        return lambda array: change(array.field(0))
    members = list(promised)
    changes = [
        _or_same(converter(kinds[code], member.type))
        for code, member in zip(codes, members, strict=True)
    ]

    def union(array: pa.Array) -> pa.Array:
        of_rows = array.type_codes.to_numpy()
        columns = [
            _spread(array, of_rows == code, change(array.field(code)))
            for code, change in zip(codes, changes, strict=True)
        ]
        mask = None if null_code is None else pa.array(of_rows == null_code)
        return pa.StructArray.from_arrays(columns, fields=members, mask=mask)

    return union


def _nullable(code: int, change: Convert) -> Convert:
    def nullable(array: pa.Array) -> pa.Array:
        values = change(array.field(code))
        if len(values) == len(array):
            return values
        return _spread(array, array.type_codes.to_numpy() == code, values)

    return nullable


def _spread(union: pa.Array, has_value: np.ndarray, values: pa.Array) -> pa.Array:
    """One branch's values over all rows of a union; null where a row is of another branch.

    Numbers are put where they belong by numpy. Letting Arrow collect them by the offsets made the
    decoding of ZTF's packets, with their histories, 5 to 10 % slower.
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
    kind = values.type
    return values.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _or_same(change: Convert | None) -> Convert:
    return change if change is not None else lambda array: array
