"""Write Arrow tables as Parquet, with an encoding chosen for each column.

Measured with packets of ZTF (41 kB each, three quarters of it images), as CPU time for each alert:
pyarrow's defaults with zstd for all columns 76 us; images not compressed again 61; dictionaries for
strings only 52, and smaller files. Of these, 16 us are the kernel's for writing 41 kB to a file.
Levels of zstd, page sizes, memory pools and a native file instead of Python's made no difference.

ZTF's images are gzipped, LSST's are plain FITS. With zstd for the latter, the 107 real alerts of
LSST take 137 kB each instead of 201, for 150 us more of CPU time, 4 % of the cost of archiving one.
A zstd level of 3 would save another 2 kB for as much CPU time again.

The checksum of a file took 19 us for each alert of ZTF with Python's zlib, and takes 3 with ISA-L's
CRC-32, which is the same function.
"""

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from isal import isal_zlib

IMAGE_MEAN_BYTES = 1024
"""A binary column whose values are larger than this on average has images: they need no dictionary
and no statistics."""

COMPRESSED_MAGIC = (b"\x1f\x8b", b"\xff\xd8\xff", b"\x89PNG")
"""First bytes of compressed images: gzip, JPEG, PNG."""

SAMPLED_IMAGES = 8
"""Images of a chunk that are examined: those of a column come from one pipeline."""

WRITE_BATCH_ROWS = 256
"""Values encoded between two checks of the page size: a page of images then has 4 MB."""


SPARK_VERSION = {b"org.apache.spark.version": b"3.5.0"}
"""Metadata of each file. For a file without it, Spark cannot know whether dates before 1582 and
times before 1900 are in the Gregorian calendar, and refuses a column that has one
(`INCONSISTENT_BEHAVIOR_CROSS_VERSION.READ_ANCIENT_DATETIME`). Files of Spark 3.0 and later are, if
they have no `org.apache.spark.legacyDateTime` (`DataSourceUtils.datetimeRebaseSpec` in Spark)."""

_CHUNK_BYTES = 4 << 20


class _Leaf(NamedTuple):
    """A Parquet column by its path; `dense` means images that are compressed already."""

    path: str
    type: pa.DataType
    repeated: bool
    images: bool
    dense: bool


class _Crc32Sink(io.RawIOBase):
    """Passes writes on to a file and sums up their CRC-32. Closing it leaves the file open."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__()
        self._sink = sink
        self.crc32 = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.crc32 = isal_zlib.crc32(data, self.crc32)
        return self._sink.write(data)

    def tell(self) -> int:
        return self._sink.tell()


def write_table(table: pa.Table, sink: BinaryIO) -> int:
    """Write a table as Parquet, in one row group, into an open file, which stays open.

    An `OSError` of the file is not converted: the caller that opened the file explains it.

    Returns
    -------
    int
        the CRC-32 of the bytes: it is for the ledger, beside the file's size
    """
    leaves = [
        leaf
        for field, column in zip(table.schema, table.columns, strict=True)
        for leaf in _leaves(field.name, column.type, column.chunks, repeated=False)
    ]
    checked = _Crc32Sink(sink)
    pq.write_table(
        table.replace_schema_metadata({**(table.schema.metadata or {}), **SPARK_VERSION}),
        checked,
        row_group_size=max(1, table.num_rows),
        compression={leaf.path: "NONE" if leaf.dense else "ZSTD" for leaf in leaves},
        use_dictionary=[leaf.path for leaf in leaves if pa.types.is_string(leaf.type)],
        # Minimum and maximum over all previous detections do not help to skip row groups.
        write_statistics=[leaf.path for leaf in leaves if not leaf.images and not leaf.repeated],
        write_batch_size=WRITE_BATCH_ROWS,
    )
    return checked.crc32


def crc32_of(source: pa.NativeFile) -> int:
    """Return the CRC-32 of a file that is open for reading, from where it stands to its end."""
    crc32 = 0
    while chunk := source.read(_CHUNK_BYTES):
        crc32 = isal_zlib.crc32(chunk, crc32)
    return crc32


def read_every_column(parquet: pq.ParquetFile) -> None:
    """Read all columns of a file, one at a time, and keep none.

    Raises
    ------
    OSError, pyarrow.ArrowException
        if any of them cannot be read
    """
    for column in range(parquet.metadata.num_columns):
        parquet.read(columns=[parquet.schema.column(column).path])


def _leaves(
    path: str, data_type: pa.DataType, chunks: Sequence[pa.Array], *, repeated: bool
) -> Iterator[_Leaf]:
    """Yield the Parquet columns below one Arrow column, in the order of Parquet."""
    if pa.types.is_struct(data_type):
        for i, field in enumerate(data_type):
            below = [chunk.field(i) for chunk in chunks]
            yield from _leaves(f"{path}.{field.name}", field.type, below, repeated=repeated)
    elif pa.types.is_map(data_type):
        yield _Leaf(
            f"{path}.key_value.key", data_type.key_type, repeated=True, images=False, dense=False
        )
        items = [chunk.items for chunk in chunks]
        yield from _leaves(f"{path}.key_value.value", data_type.item_type, items, repeated=True)
    elif pa.types.is_list(data_type):
        values = [chunk.values for chunk in chunks]
        yield from _leaves(f"{path}.list.element", data_type.value_type, values, repeated=True)
    else:
        images = pa.types.is_binary(data_type) and _mean_bytes(chunks) > IMAGE_MEAN_BYTES
        yield _Leaf(path, data_type, repeated, images, dense=images and _compressed_already(chunks))


def _mean_bytes(chunks: Sequence[pa.Array]) -> float:
    values = sum(len(chunk) - chunk.null_count for chunk in chunks)
    return sum(chunk.nbytes for chunk in chunks) / max(1, values)


def _compressed_already(chunks: Sequence[pa.Array]) -> bool:
    sample = (
        image.as_py()
        for chunk in chunks
        for image in islice((value for value in chunk if value.is_valid), SAMPLED_IMAGES)
    )
    return all(image.startswith(COMPRESSED_MAGIC) for image in sample)
