"""What records will take as promised columns, told from what the reader gave, before it is done.

A null costs a record one byte, and what the reader gives for it 5. In the promised columns it is a
slot in each column below: an array of nulls that could have been records of 200 numbers becomes
1600 times its size. A symbol of an enum is a byte in a record, in a column a text of any length.

Weighing takes 50 us for 498 packets of ZTF and 40 us for 107 of LSST: 0.2 % of decoding at most.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.avro.schema import NOT_A_BRANCH_BYTES

Weigh = Callable[[pa.Array, np.ndarray, np.ndarray], None]
"""Adds to the bits of each record what an array has of it; a record's values are those between two
bounds that follow each other."""

_OFFSET_BITS = 32
_VALID_BITS = 1


def record_weigher(
    given: Iterable[pa.Field], promised: Iterable[pa.Field]
) -> Callable[[Sequence[pa.Array], int], np.ndarray]:
    """A function from the given fields of records, and their number, to bytes for each record.

    Bytes of texts and binaries are not counted: they are as many as in the record. Whoever adds the
    record's own size is on the safe side, by less than that size.
    """
    targets = {field.name: field.type for field in promised}
    slot_bits = sum(map(_slot_bits, targets.values()))
    plan = [
        (place, weigh)
        for place, field in enumerate(given)
        if field.name in targets
        for weigh in [_weigher(field.type, targets[field.name])]
        if weigh is not None
    ]

    def weights(fields: Sequence[pa.Array], rows: int) -> np.ndarray:
        bits = np.full(rows, slot_bits, np.int64)
        bounds = np.arange(rows + 1)
        for place, weigh in plan:
            weigh(fields[place], bounds, bits)
        return bits // 8

    return weights


def _slot_bits(kind: pa.DataType) -> int:
    """What one value, or one null, takes in a column of that type at least."""
    if pa.types.is_struct(kind):
        return _VALID_BITS + sum(_slot_bits(field.type) for field in kind)
    try:
        return _VALID_BITS + int(kind.bit_width)
    except ValueError:  # of any size
        return _VALID_BITS + _OFFSET_BITS


def _weigher(given: pa.DataType, promised: pa.DataType) -> Weigh | None:
    """A function that weighs what is of no fixed size below a type; None if there is nothing."""
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
        (place, weigh)
        for place, field in enumerate(given)
        for weigh in [_weigher(field.type, promised.field(field.name).type)]
        if weigh is not None
    ]

    def struct(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        for place, weigh in plan:
            weigh(array.field(place), bounds, bits)

    return struct if plan else None


def _list(slot_bits: int, below: Weigh | None, items: Callable[[pa.Array], pa.Array]) -> Weigh:
    def lists(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        inner = array.offsets.to_numpy()[bounds]
        bits += slot_bits * np.diff(inner).astype(np.int64)
        if below is not None:
            below(items(array), inner, bits)

    return lists


def _union(given: pa.DataType, promised: pa.DataType) -> Weigh | None:
    """Of its branches; what it takes itself is a slot of whatever it stands in."""
    kinds = [field.type for field in given]
    codes = [
        code
        for code, kind in enumerate(kinds)
        if not pa.types.is_null(kind) and not _is_no_branch(kind)
    ]
    members = [promised] if len(codes) == 1 else [field.type for field in promised]
    plan = [
        (code, weigh)
        for code, member in zip(codes, members, strict=True)
        for weigh in [_weigher(kinds[code], member)]
        if weigh is not None
    ]

    def union(array: pa.Array, bounds: np.ndarray, bits: np.ndarray) -> None:
        of_rows = array.type_codes.to_numpy()
        for code, weigh in plan:
            before = np.concatenate([[0], np.cumsum(of_rows == code)])
            weigh(array.field(code), before[bounds], bits)

    return union if plan else None


def _is_no_branch(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_binary(kind) and kind.byte_width == NOT_A_BRANCH_BYTES
