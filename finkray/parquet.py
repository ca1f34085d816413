"""Arrow tables to Parquet, each column in the way that suits it."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

RAW_MEAN_BYTES = 1024
"""A binary column with larger values than this on the average holds images: they are compressed
already, never alike, and nobody asks for the smallest of them."""


class _Leaf(NamedTuple):
    """A Parquet column by its path, and whether it holds images."""

    path: str
    images: bool


def write_table(table: pa.Table, sink: BinaryIO) -> None:
    """Write a table as Parquet into an open file, which stays open.

    An `OSError` of the file comes through as it is: whoever opened the file explains it.
    """
    leaves = [
        leaf
        for field, column in zip(table.schema, table.columns, strict=True)
        for leaf in _leaves(field.name, column.type, column.chunks)
    ]
    coded = [leaf.path for leaf in leaves if not leaf.images]
    pq.write_table(
        table,
        sink,
        compression={leaf.path: "NONE" if leaf.images else "ZSTD" for leaf in leaves},
        use_dictionary=coded,
        write_statistics=coded,
    )


def _leaves(path: str, kind: pa.DataType, chunks: Sequence[pa.Array]) -> Iterator[_Leaf]:
    """The Parquet columns below one Arrow column, in Parquet's order."""
    if pa.types.is_struct(kind):
        for i, field in enumerate(kind):
            yield from _leaves(f"{path}.{field.name}", field.type, [c.field(i) for c in chunks])
    elif pa.types.is_map(kind):
        yield _Leaf(f"{path}.key_value.key", images=False)
        values = [chunk.items for chunk in chunks]
        yield from _leaves(f"{path}.key_value.value", kind.item_type, values)
    elif pa.types.is_list(kind):
        values = [chunk.values for chunk in chunks]
        yield from _leaves(f"{path}.list.element", kind.value_type, values)
    else:
        yield _Leaf(path, images=pa.types.is_binary(kind) and _mean_bytes(chunks) > RAW_MEAN_BYTES)


def _mean_bytes(chunks: Sequence[pa.Array]) -> float:
    values = sum(len(chunk) - chunk.null_count for chunk in chunks)
    return sum(chunk.nbytes for chunk in chunks) / max(1, values)
