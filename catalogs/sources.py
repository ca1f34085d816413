"""The formats that catalogues come in, read piece by piece as Arrow tables.

VOTable alone is read whole: its parser knows no other way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from catalogs.description import Description
from finkray.errors import CatalogError

CHUNK_ROWS: Final = 250_000

_SUFFIXES: Final = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".vot": "votable",
    ".vot.gz": "votable",
    ".xml": "votable",
    ".votable": "votable",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
}


class Source(Protocol):
    """Files of one format."""

    def units(self) -> Mapping[str, str]:
        """Every column, and its unit as the file says, "" where it says nothing."""

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some of the columns, at most `CHUNK_ROWS` rows at a time, in the same order each time."""


def open_source(description: Description) -> Source:
    """The files of a catalogue.

    Raises
    ------
    CatalogError
        There is no such file, it cannot be read, or a column that is asked for is not there.
    """
    path = description.source.path
    kind = description.source.format or _format_of(path)
    files = _files(path) if kind != "hats" else []
    try:
        if kind == "parquet":
            source: Source = _Parquet(files)
        elif kind == "hats":
            source = _Parquet(_hats_leaves(path))
        elif kind == "csv":
            source = _Csv(files, "\t" if path.endswith(".tsv") else description.source.delimiter)
        elif kind == "fits":
            source = _Fits(files)
        else:
            source = _VoTable(files)
        have = source.units()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CatalogError(f"{path}: cannot be read as {kind}: {error}") from error
    if missing := [name for name in description.wanted if name not in have]:
        raise CatalogError(
            f"{path}: has no column {', '.join(missing)}; it has {', '.join(sorted(have))}"
        )
    return source


def _format_of(path: str) -> str:
    for suffix, kind in _SUFFIXES.items():
        if path.lower().endswith(suffix):
            return kind
    folder = Path(path)
    if (folder / "collection.properties").exists() or (folder / "hats.properties").exists():
        return "hats"
    if folder.is_dir():
        return "parquet"
    raise CatalogError(
        f"{path}: its format cannot be told by its name: set source.format to parquet, fits, "
        "votable, csv or hats"
    )


def _files(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*.parq*") if file.is_file())
    elif any(sign in path for sign in "*?["):
        root = Path(place.anchor)
        files = sorted(file for file in root.glob(str(place.relative_to(root))) if file.is_file())
    else:
        files = [place] if place.is_file() else []
    if not files:
        raise CatalogError(f"{path}: there is no such file")
    return files


def _hats_leaves(path: str) -> list[Path]:
    """The leaves of a HATS catalogue, or of the main one of a collection."""
    import hats
    from hats.io.paths import pixel_catalog_file

    catalog = hats.read_hats(path)
    main = getattr(catalog, "main_catalog", catalog)
    suffix = main.catalog_info.npix_suffix
    leaves = []
    for pixel in main.get_healpix_pixels():
        leaf = Path(str(pixel_catalog_file(main.catalog_base_dir, pixel, npix_suffix=suffix)))
        leaves += sorted(leaf.rglob("*.parq*")) if leaf.is_dir() else [leaf]
    return leaves


class _Parquet:
    def __init__(self, files: Sequence[Path]) -> None:
        import pyarrow.dataset as ds

        self._dataset = ds.dataset([str(file) for file in files], format="parquet")

    def units(self) -> Mapping[str, str]:
        return {
            field.name: (field.metadata or {}).get(b"unit", b"").decode()
            for field in self._dataset.schema
        }

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        # Few batches ahead: each may be as large as a row group.
        batches = self._dataset.to_batches(
            columns=list(columns),
            batch_size=CHUNK_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            use_threads=False,
        )
        for batch in batches:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


class _Csv:
    def __init__(self, files: Sequence[Path], delimiter: str) -> None:
        self._files = files
        self._delimiter = delimiter

    def units(self) -> Mapping[str, str]:
        return dict.fromkeys(self._open(self._files[0]).schema.names, "")

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        for file in self._files:
            try:
                for batch in self._open(file, columns):
                    table = pa.Table.from_batches([batch])
                    for start in range(0, table.num_rows, CHUNK_ROWS):
                        yield table.slice(start, CHUNK_ROWS)
            except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
                raise CatalogError(f"{file}: {error}") from error

    def _open(self, file: Path, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        from pyarrow import csv

        return csv.open_csv(
            str(file),
            # The types are told from the first block.
            read_options=csv.ReadOptions(block_size=16 * 1024 * 1024),
            parse_options=csv.ParseOptions(delimiter=self._delimiter),
            convert_options=csv.ConvertOptions(
                include_columns=list(columns) if columns else None, strings_can_be_null=True
            ),
        )


class _Fits:
    """The first binary or ASCII table of each file."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def units(self) -> Mapping[str, str]:
        from astropy.io import fits

        with fits.open(self._files[0], memmap=True) as hdus:
            return {column.name: column.unit or "" for column in _table_hdu(hdus).columns}

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        from astropy.io import fits

        for file in self._files:
            with fits.open(file, memmap=True) as hdus:
                hdu = _table_hdu(hdus)
                nulls = {column.name: column.null for column in hdu.columns}
                if missing := [name for name in columns if name not in nulls]:
                    raise CatalogError(f"{file}: has no column {', '.join(missing)}")
                for start in range(0, len(hdu.data), CHUNK_ROWS):
                    rows = hdu.data[start : start + CHUNK_ROWS]
                    yield pa.table({name: _native(rows[name], nulls[name]) for name in columns})


def _table_hdu(hdus: Iterable[Any]) -> Any:
    from astropy.io import fits

    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
            return hdu
    raise ValueError("there is no table in it")


def _native(values: np.ndarray, null: object) -> pa.Array:
    """A FITS column as Arrow: native bytes, blanks at the end of strings gone."""
    if values.ndim > 1:
        return pa.array(list(np.asarray(values)))
    if values.dtype.kind in "SU":
        return pa.array(np.char.rstrip(np.asarray(values).astype(str)).tolist(), pa.string())
    mask = values == null if null is not None else None
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    return pa.array(native, mask=mask)


class _VoTable:
    """The first table of each file."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def units(self) -> Mapping[str, str]:
        from astropy.io.votable import parse_single_table

        fields = parse_single_table(str(self._files[0])).fields
        return {_name(field): str(field.unit or "") for field in fields}

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        from astropy.io.votable import parse_single_table

        for file in self._files:
            table = parse_single_table(str(file))
            names = {_name(field): place for place, field in enumerate(table.fields)}
            if missing := [name for name in columns if name not in names]:
                raise CatalogError(f"{file}: has no column {', '.join(missing)}")
            array = table.array
            for start in range(0, len(array), CHUNK_ROWS):
                rows = array[start : start + CHUNK_ROWS]
                yield pa.table(
                    {name: _masked(rows[rows.dtype.names[names[name]]]) for name in columns}
                )


def _name(field: object) -> str:
    return str(getattr(field, "name", None) or getattr(field, "ID", ""))


def _masked(values: np.ma.MaskedArray) -> pa.Array:
    mask = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if data.dtype.kind in "OSU":
        texts = [None if gone else str(text) for text, gone in zip(data, mask, strict=True)]
        return pa.array(texts, pa.string())
    return pa.array(np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("=")), mask=mask)
