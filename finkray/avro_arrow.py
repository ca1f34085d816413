"""The few Avro types that the columnar reader gives in a form which Parquet does not have."""

import numpy as np
import pyarrow as pa


def convert(array: pa.Array, promised: pa.DataType) -> pa.Array:
    """An array as the columnar reader gave it, in the promised type.

    Unions become structs of members, enums strings, nulls a column of nulls; nested types are
    searched for them. What has the promised type already is returned as it is.
    """
    kind = array.type
    if kind == promised:
        return array
    if pa.types.is_union(kind):
        return _union(array, promised)
    if pa.types.is_nested(kind):
        return _nested(array, promised)
    if pa.types.is_null(kind):
        return pa.nulls(len(array), promised)
    return array.cast(promised)


def _nested(array: pa.Array, promised: pa.DataType) -> pa.Array:
    if pa.types.is_struct(promised):
        children = [
            convert(array.field(i), promised.field(i).type) for i in range(promised.num_fields)
        ]
        own_buffers = 1
    elif pa.types.is_map(promised):
        entries = pa.struct([promised.key_field, promised.item_field])
        items = convert(array.items, promised.item_type)
        children = [pa.StructArray.from_arrays([array.keys, items], fields=list(entries))]
        own_buffers = 2
    else:
        children = [convert(array.values, promised.value_type)]
        own_buffers = 2
    buffers = array.buffers()[:own_buffers]
    return pa.Array.from_buffers(promised, len(array), buffers, children=children)


def _union(array: pa.Array, promised: pa.DataType) -> pa.Array:
    """A dense union as the promised type: a struct of its members, or its only member."""
    codes = array.type_codes.to_numpy()
    places = array.offsets.to_numpy()
    members = []
    for code in range(array.type.num_fields):
        child = array.field(code)
        if not pa.types.is_null(child.type):
            index = pa.array(places, mask=codes != code)
            members.append((code, child.take(index)))
    if not pa.types.is_struct(promised) or array.type.num_fields == 1:
        return convert(members[0][1], promised)
    converted = [
        convert(member, field.type) for (_, member), field in zip(members, promised, strict=True)
    ]
    is_null = ~np.isin(codes, [code for code, _ in members])
    return pa.StructArray.from_arrays(converted, fields=list(promised), mask=pa.array(is_null))
