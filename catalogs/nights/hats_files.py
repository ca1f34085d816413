"""Write HATS catalogues through a storage: leaves, and the metadata beside them.

The hats library makes the content of the small files, in a temporary folder: it cannot write
through `finkray.storage`.
"""

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogs.hats_layout import INDEX, leaf_path
from catalogs.partition import Margins
from finkray.index.pixels import INDEX_ORDER
from finkray.nights.layout import COLLECTION_FILE
from finkray.storage.contract import Storage

Pixel = tuple[int, int]

_COMPRESSION_LEVEL: Final = 3
"""The library's own 15 takes several times as long for a tenth of the size."""

_INDEX_GROUP_ROWS: Final = 20_000
"""A search for an id reads one row group of the index."""


def leaf(folder: str, pixel: Pixel) -> str:
    """Return the path of a leaf of the catalogue in a folder."""
    return leaf_path(Path(folder), pixel).as_posix()


def write_leaf(storage: Storage, folder: str, pixel: Pixel, rows: pa.Table) -> None:
    """Write a leaf, whose rows are sorted; a part of it that a crash left is replaced."""
    path = leaf(folder, pixel)
    storage.delete([path])
    _write(storage, path, rows)


def read_leaf(
    storage: Storage, folder: str, pixel: Pixel, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return a leaf, or some columns of it."""
    with storage.open(leaf(folder, pixel)) as source:
        return pq.read_table(source, columns=columns, partitioning=None)


def finish_catalog(
    storage: Storage,
    folder: str,
    pixels: Sequence[Pixel],
    schema: pa.Schema,
    more: Mapping[str, object],
) -> int:
    """Write the metadata beside the leaves of a catalogue; return its number of rows.

    Parameters
    ----------
    storage
        where
    folder
        of the catalogue; its name is that of the catalogue
    pixels
        that have a leaf
    schema
        of the leaves
    more
        further properties: the type at least
    """
    from hats.catalog import PartitionInfo, TableProperties
    from hats.pixel_math import HealpixPixel

    footers = []
    for pixel in sorted(pixels):
        with storage.open(leaf(folder, pixel)) as source:
            footer = pq.read_metadata(source)
        footer.set_file_path(leaf("", pixel).removeprefix("dataset/"))
        footers.append(footer)
    rows = sum(footer.num_rows for footer in footers)
    _write_metadata(storage, folder, schema, footers)
    info = PartitionInfo.from_healpix([HealpixPixel(*pixel) for pixel in pixels])
    _put(storage, folder, lambda at: info.write_to_file(catalog_path=at))
    properties = TableProperties(
        catalog_name=folder.rpartition("/")[2],
        total_rows=rows,
        ra_column="ra",
        dec_column="dec",
        healpix_column=INDEX,
        healpix_order=INDEX_ORDER,
        **more,
    )
    _put(storage, folder, properties.to_properties_file)
    return rows


def write_margin(
    storage: Storage,
    folder: str,
    primary: str,
    pixels: Sequence[Pixel],
    schema: pa.Schema,
    *,
    arcsec: float,
) -> int:
    """Write the margin of a catalogue from its leaves; return its number of rows.

    Parameters
    ----------
    storage
        where
    folder
        of the margin
    primary
        folder of the catalogue
    pixels
        the leaves of the catalogue
    schema
        of the leaves
    arcsec
        width of the margin
    """
    margins = Margins(pixels, arcsec)
    pieces: dict[Pixel, list[pa.Table]] = {}
    for pixel in pixels:
        rows = read_leaf(storage, primary, pixel)
        for owner, inside in margins.find(rows[INDEX].to_numpy()):
            pieces.setdefault(owner, []).append(rows.take(pa.array(inside)).combine_chunks())
    for owner, tables in pieces.items():
        rows = pa.concat_tables(tables)
        order = np.argsort(rows[INDEX].to_numpy(), kind="stable")
        write_leaf(storage, folder, owner, rows.take(pa.array(order)))
    name = primary.rpartition("/")[2]
    more = {"catalog_type": "margin", "primary_catalog": name, "margin_threshold": arcsec}
    return finish_catalog(storage, folder, sorted(pieces), schema, more)


def write_index(
    storage: Storage, folder: str, primary: str, pixels: Sequence[Pixel], column: pa.Field
) -> int:
    """Write the index of a column of a catalogue, from its leaves; return its number of rows."""
    from hats.catalog import TableProperties

    schema = pa.schema([column, ("Norder", pa.uint8()), ("Npix", pa.uint64())])
    tables = [schema.empty_table()]
    for order, number in pixels:
        ids = read_leaf(storage, primary, (order, number), [column.name])[column.name]
        pixel = [pa.repeat(pa.scalar(value), len(ids)) for value in (order, number)]
        tables.append(pa.table([ids, *pixel], names=schema.names).cast(schema))
    rows = pa.concat_tables(tables).sort_by(column.name)
    path = "index/part.00000.parquet"
    whole = f"{folder}/dataset/{path}"
    storage.delete([whole])
    _write(storage, whole, rows, row_group_size=_INDEX_GROUP_ROWS)
    with storage.open(whole) as source:
        footer = pq.read_metadata(source)
    footer.set_file_path(path)
    _write_metadata(storage, folder, rows.schema, [footer])
    properties = TableProperties(
        catalog_name=folder.rpartition("/")[2],
        catalog_type="index",
        primary_catalog=primary.rpartition("/")[2],
        indexing_column=column.name,
        total_rows=rows.num_rows,
    )
    _put(storage, folder, properties.to_properties_file)
    return rows.num_rows


def collection_bytes(more: Mapping[str, Any]) -> bytes:
    """Return the content of `collection.properties`."""
    from hats.catalog.dataset.collection_properties import CollectionProperties

    properties = CollectionProperties(**more)
    return _made(properties.to_properties_file)[COLLECTION_FILE]


def parse_collection(data: bytes) -> dict[str, str]:
    """Return the properties in the bytes of `collection.properties`."""
    from jproperties import Properties

    properties = Properties()
    properties.load(data, "utf-8")
    return dict(properties.properties)


def _write(storage: Storage, path: str, rows: pa.Table, **more: Any) -> None:
    from hats.io.file_io.file_io import get_parquet_write_table_kwargs

    options = get_parquet_write_table_kwargs(
        rows.schema, write_table_kwargs={"compression_level": _COMPRESSION_LEVEL, **more}
    )
    with storage.stage(path) as sink:
        pq.write_table(rows, sink, **options)


def _write_metadata(
    storage: Storage, folder: str, schema: pa.Schema, footers: Sequence[pq.FileMetaData]
) -> None:
    """Write `_common_metadata`, which has the schema, and `_metadata` with all row groups."""
    for name, collected in (("_common_metadata", None), ("_metadata", list(footers))):
        sink = io.BytesIO()
        pq.write_metadata(schema, sink, metadata_collector=collected)
        storage.replace(f"{folder}/dataset/{name}", sink.getvalue())


def _put(storage: Storage, folder: str, write: Callable[[Path], object]) -> None:
    """Put the files that the library writes into a folder into a folder of the storage."""
    for name, data in _made(write).items():
        storage.replace(f"{folder}/{name}", data)


def _made(write: Callable[[Path], object]) -> dict[str, bytes]:
    """Return the files that the library writes into a folder, by name."""
    with tempfile.TemporaryDirectory(prefix="finkray-hats-") as folder:
        write(Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
