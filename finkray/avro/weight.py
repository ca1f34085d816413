"""Compute the memory of records as promised columns before they are converted.

A null takes one byte in a record and 5 in what the reader returns. In the promised columns it takes
a slot in each column below: an array of nulls that could have been records of 200 numbers becomes
1600 times its size. A symbol of an enum is a byte in a record and a text of any length in a column.

Weighing takes 50 us for 498 packets of ZTF and 40 us for 107 of LSST: 0.2 % of decoding at most.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.avro.schema import NOT_A_BRANCH_BYTES

Weigh = Callable[[pa.Array, np.ndarray, np.ndarray], None]
"""Adds an array's bits to those of each record; the values of a record lie between two consecutive
bounds."""

_OFFSET_BITS = 32
_VALID_BITS = 1


def record_weigher(
    given: Iterable[pa.Field], promised: Iterable[pa.Field]
) -> Callable[[Sequence[pa.Array], int], np.ndarray]:
    """Return a function from the reader's fields of records, and their number, to bytes per record.

    Bytes of texts and binaries are not counted: they are as many as in the record. With the
    record's own size added, the result is too large by less than that size.
    """
    targets = {field.name: field.type for field in promised}
    slot_bits = sum(map(_slot_bits, targets.values()))
    plan = [
        (index, weigh)
        for index, field in enumerate(given)
        if field.name in targets
        for weigh in [_weigher(field.type, targets[field.name])]
        if weigh is not None
    ]

    def weights(fields: Sequence[pa.Array], rows: int) -> np.ndarray:
        bits = np.full(rows, slot_bits, np.int64)
        bounds = np.arange(rows + 1)
        for index, weigh in plan:
            weigh(fields[index], bounds, bits)
        return bits // 8

    return weights


def _slot_bits(data_type: pa.DataType) -> int:
    """Return the least bits of one value, or one null, in a column of that type."""
    if pa.types.is_struct(data_type):
        return _VALID_BITS + sum(_slot_bits(field.type) for field in data_type)
    try:
        return _VALID_BITS + int(data_type.bit_width)
    except ValueError:  # a type of variable size
        return _VALID_BITS + _OFFSET_BITS


def _weigher(given: pa.DataType, promised: pa.DataType) -> Weigh | None:
    """Return a function that weighs the values of variable size below a type; None without any."""
    if pa.types.is_dictionary(given):
        return _enum
    if pa.types.is_struct(given):
        return _struct(given, promised)
    if pa.types.is_map(given):
        slot = _slot_bits(promised.key_type) + _slot_bits(promised.item_type)
        return _list(slot, _weigher(given.item_type, promised.item_type), lambda maps: maps.items)
    if pa.types.is_list(given):
        slot = _slot_bits(promised.value_type)
        below = _weigher(given.value_type, promised.value_type)
        return _list(slot, below, lambda lists: lists.values)
    if pa.types.is_union(given):
        return _union(given, promised)
    return None


def _enum(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
    symbols = pc.binary_length(array.dictionary).to_numpy().astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(symbols[array.indices.to_numpy()])])
    bits += 8 * np.diff(ends[bounds])


def _struct(given: pa.DataType, promised: pa.DataType) -> Weigh | None:
    plan = [
        (index, weigh)
        for index, field in enumerate(given)
        for weigh in [_weigher(field.type, promised.field(field.name).type)]
        if weigh is not None
    ]

    def struct(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        for index, weigh in plan:
            weigh(array.field(index), bounds, bits)

    return struct if plan else None


def _list(slot_bits: int, below: Weigh | None, items: Callable[[pa.Array], pa.Array]) -> Weigh:
    def lists(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        inner = array.offsets.to_numpy()[bounds]
        bits += slot_bits * np.diff(inner).astype(np.int64)
        if below is not None:
            below(items(array), inner, bits)

    return lists


def _union(given: pa.DataType, promised: pa.DataType) -> Weigh | None:
    """Weigh the branches; the union itself is a slot of the type that contains it."""
    branches = [field.type for field in given]
    codes = [
        code
        for code, branch in enumerate(branches)
        if not pa.types.is_null(branch) and not _is_no_branch(branch)
    ]
    members = [promised] if len(codes) == 1 else [field.type for field in promised]
    plan = [
        (code, weigh)
        for code, member in zip(codes, members, strict=True)
        for weigh in [_weigher(branches[code], member)]
        if weigh is not None
    ]

    def union(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        of_rows = array.type_codes.to_numpy()
        for code, weigh in plan:
            before = np.concatenate([[0], np.cumsum(of_rows == code)])
            weigh(array.field(code), before[bounds], bits)

    return union if plan else None


def _is_no_branch(branch: pa.DataType) -> bool:
    return pa.types.is_fixed_size_binary(branch) and branch.byte_width == NOT_A_BRANCH_BYTES
