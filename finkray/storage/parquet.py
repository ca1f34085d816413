"""Arrow tables to Parquet, each column in the way that suits it.

Measured with ZTF's packets (41 kB each, three quarters of it images), as CPU time for each alert:
pyarrow's defaults with zstd for all 76 us; images left alone 61; dictionaries for strings alone 52,
and smaller files. Of these, 16 us are the system's for 41 kB into a file. Levels of zstd, sizes of
pages, memory pools and a native file in place of Python's made no difference.

ZTF's images are gzipped, LSST's are FITS as it is. With zstd for those the 107 real alerts of LSST
take 137 kB each in place of 201, for 150 us more of CPU time, 4 % of what archiving one costs. A
level of 3 would give another 2 kB for as much again.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

IMAGE_MEAN_BYTES = 1024
"""A binary column with larger values than this on the average holds images: they are never alike,
and nobody asks for the smallest of them."""

COMPRESSED_MAGIC = (b"\x1f\x8b", b"\xff\xd8\xff", b"\x89PNG")
"""How images begin that are compressed already: gzip, JPEG, PNG."""

LOOKED_AT = 8
"""How many images of a chunk are looked at: those of a column come from one pipeline."""

WRITE_BATCH_ROWS = 256
"""How many values are encoded before the size of a page is looked at: a page of images has 4 MB."""


class _Leaf(NamedTuple):
    """A Parquet column by its path; `dense` images are compressed already."""

    path: str
    kind: pa.DataType
    repeated: bool
    images: bool
    dense: bool


def write_table(table: pa.Table, sink: BinaryIO) -> None:
    """Write a table as Parquet, in one row group, into an open file, which stays open.

    An `OSError` of the file comes through as it is: whoever opened the file explains it.
    """
    leaves = [
        leaf
        for field, column in zip(table.schema, table.columns, strict=True)
        for leaf in _leaves(field.name, column.type, column.chunks, repeated=False)
    ]
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, table.num_rows),
        compression={leaf.path: "NONE" if leaf.dense else "ZSTD" for leaf in leaves},
        use_dictionary=[leaf.path for leaf in leaves if pa.types.is_string(leaf.kind)],
        # The least and greatest of all previous detections prune nothing.
        write_statistics=[leaf.path for leaf in leaves if not leaf.images and not leaf.repeated],
        write_batch_size=WRITE_BATCH_ROWS,
    )


def _leaves(
    path: str, kind: pa.DataType, chunks: Sequence[pa.Array], *, repeated: bool
) -> Iterator[_Leaf]:
    """The Parquet columns below one Arrow column, in Parquet's order."""
    if pa.types.is_struct(kind):
        for i, field in enumerate(kind):
            below = [chunk.field(i) for chunk in chunks]
            yield from _leaves(f"{path}.{field.name}", field.type, below, repeated=repeated)
    elif pa.types.is_map(kind):
        yield _Leaf(
            f"{path}.key_value.key", kind.key_type, repeated=True, images=False, dense=False
        )
        items = [chunk.items for chunk in chunks]
        yield from _leaves(f"{path}.key_value.value", kind.item_type, items, repeated=True)
    elif pa.types.is_list(kind):
        values = [chunk.values for chunk in chunks]
        yield from _leaves(f"{path}.list.element", kind.value_type, values, repeated=True)
    else:
        images = pa.types.is_binary(kind) and _mean_bytes(chunks) > IMAGE_MEAN_BYTES
        yield _Leaf(path, kind, repeated, images, dense=images and _compressed_already(chunks))


def _mean_bytes(chunks: Sequence[pa.Array]) -> float:
    values = sum(len(chunk) - chunk.null_count for chunk in chunks)
    return sum(chunk.nbytes for chunk in chunks) / max(1, values)


def _compressed_already(chunks: Sequence[pa.Array]) -> bool:
    looked_at = (
        image.as_py()
        for chunk in chunks
        for image in islice((value for value in chunk if value.is_valid), LOOKED_AT)
    )
    return all(image.startswith(COMPRESSED_MAGIC) for image in looked_at)
