"""Parquet files, with the units that their writers leave in the metadata."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from catalogs.formats.astropy_header import declared_columns, read_header
from catalogs.formats.table_file import PIECE_ROWS, Column, Frame
from catalogs.formats.votable_outline import outline_of_text

MAGIC: Final = b"PAR1"

_UNIT_KEYS: Final = (b"unit", b"units", b"fits:tunit", b"TUNIT")
_UCD_KEYS: Final = (b"ucd", b"ivoa:ucd", b"UCD")

_ASTROPY: Final = b"table_meta_yaml"
"""What `astropy.table.Table.write(format="parquet")` keeps of its columns."""

_VOTABLE: Final = b"IVOA.VOTable-Parquet.content"
"""A VOTable without rows that describes the columns (IVOA note VOParquet; astropy's
`parquet.votable`)."""


class ParquetFile:
    """One file. Its footer is at its end: a file that is cut short cannot be opened at all.

    Parameters
    ----------
    frames
        what is declared for all columns elsewhere, as HATS does
    """

    hint = ""

    def __init__(self, path: Path, frames: tuple[Frame, ...] = ()) -> None:
        self.path = path
        self._frames = frames
        self._schema = pq.read_schema(path)

    def columns(self) -> Sequence[Column]:
        """All columns in order, with what the metadata of the file or of its fields declare."""
        declared = _declared(self._schema.metadata or {})
        return [self._column(field, declared.get(field.name)) for field in self._schema]

    def _column(self, field: pa.Field, declared: Column | None) -> Column:
        if declared is not None:
            return replace(declared, frames=(*declared.frames, *self._frames))
        metadata = field.metadata or {}
        unit, ucd = (_first(metadata, keys) for keys in (_UNIT_KEYS, _UCD_KEYS))
        return Column(field.name, unit, ucd, self._frames)

    def types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        """Return the types of the schema."""
        return {name: self._schema.field(name).type for name in names}

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows, a few batches ahead: each may be as large as a row group."""
        # Verified where the writer left checksums.
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        batches = ds.dataset(str(self.path), format=form).to_batches(
            columns=list(names),
            batch_size=PIECE_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            use_threads=False,
        )
        for batch in batches:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


def _first(metadata: Mapping[bytes, bytes], keys: Sequence[bytes]) -> str:
    return next((metadata[key].decode("utf-8", "replace") for key in keys if key in metadata), "")


def _declared(metadata: Mapping[bytes, bytes]) -> dict[str, Column]:
    """Return the columns that the metadata of the whole file describe."""
    if _VOTABLE in metadata:
        tables = outline_of_text(metadata[_VOTABLE]).tables
        if len(tables) == 1:
            return {column.name: column for column in tables[0].columns}
    if _ASTROPY in metadata:
        text = metadata[_ASTROPY].decode("utf-8", "replace")
        return declared_columns(read_header(text.splitlines(), f"its metadata {_ASTROPY.decode()}"))
    return {}
