"""The files of a catalogue: found, opened by their format, checked, and read as one table.

Each file is checked by itself. Files whose columns have other types are united by one rule
(`catalogs.columns`): both readings of a build get the same types, in any order of the files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from catalogs.columns import carried, carried_type, common_type
from catalogs.declarations import check_columns, check_declarations
from catalogs.description import Description
from catalogs.formats.delimited import DelimitedFile
from catalogs.formats.fits import FitsFile
from catalogs.formats.hats import is_hats, open_hats
from catalogs.formats.parquet import MAGIC, ParquetFile
from catalogs.formats.table_file import TableFile, TableRequest
from catalogs.formats.votable import VoTableFile
from finkray.errors import CatalogError

_SUFFIXES: Final = {
    "parquet": (".parquet", ".parq", ".pq"),
    "fits": (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz"),
    "votable": (".vot", ".xml", ".votable", ".vot.gz", ".xml.gz", ".votable.gz"),
    "csv": (".csv", ".tsv", ".ecsv", ".csv.gz", ".tsv.gz", ".ecsv.gz"),
}

_HIDDEN: Final = (".", "_")
"""How names begin that Spark, Hive and pyarrow skip: checksums, `_SUCCESS`, `_metadata`."""

_CHECKSUMS: Final = (".crc", ".md5", ".sha1", ".sha256")

_LOGS: Final = {
    "_delta_log": "a Delta table",
    "_spark_metadata": "the output of a Spark stream",
    "_temporary": "the output of a Spark job that has not ended",
    "metadata": "an Iceberg table",
}
"""Folders that say which of the files beside them count."""

_EPOCH_COLUMN: Final = "ref_epoch"
"""Gaia's column with the epoch of each position."""


class Source:
    """The files of a catalogue as one table.

    Attributes
    ----------
    epoch_column
        the column with the epoch of each position; empty if there is none
    """

    def __init__(self, description: Description, files: Sequence[TableFile]) -> None:
        self._files = files
        self._names = description.wanted
        self._id = description.catalog.id
        self.epoch_column = self._find_epoch_column()
        if self.epoch_column and self.epoch_column not in self._names:
            self._names = (*self._names, self.epoch_column)
        self._types: dict[str, pa.DataType] = {}

    def _find_epoch_column(self) -> str:
        shared = set.intersection(
            *({column.name for column in file.columns()} for file in self._files)
        )
        return next((name for name in sorted(shared) if name.casefold() == _EPOCH_COLUMN), "")

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The type of each column over all files. May read them."""
        if not self._types:
            found = []
            for file in self._files:
                with _naming_the_file(file.path):
                    kinds = file.types(self._names)
                    found.append({name: self._carried_type(name, kinds[name]) for name in kinds})
            for name in self._names:
                kind = common_type(kinds[name] for kinds in found)
                kind = self._carried_type(name, kind)
                self._types[name] = pa.string() if pa.types.is_null(kind) else kind
        return self._types

    def _carried_type(self, name: str, kind: pa.DataType) -> pa.DataType:
        return carried_type(name, kind, is_id=name == self._id)

    def pieces(self) -> Iterator[pa.Table]:
        """Yield the rows of all files in the types of `types`, in the same order each time.

        Raises
        ------
        CatalogError
            A file is not whole or not what it seems; the message names it, and the column.
        """
        types = self.types
        for file in self._files:
            with _naming_the_file(file.path):
                for piece in file.pieces(self._names):
                    yield pa.table(
                        {name: carried(name, piece[name], types[name]) for name in self._names}
                    )


@contextmanager
def _naming_the_file(path: Path) -> Iterator[None]:
    """Turn any error of a reader into a `CatalogError` that names the file.

    Readers of formats raise any type of error at damaged files; it is never a fault of the build.
    """
    try:
        yield
    except GeneratorExit:
        raise
    except CatalogError as error:
        text = str(error)
        if str(path) in text:
            raise
        raise CatalogError(f"{path}: {text}") from error
    except Exception as error:
        raise CatalogError(
            f"{path}: cannot be read ({type(error).__name__}: {error}): it is damaged, cut short "
            "or of another format; fetch it again, or set source.format"
        ) from error


def open_source(description: Description) -> Source:
    """Open the files of a catalogue, and compare what they declare with the description.

    Raises
    ------
    CatalogError
        There is no such file, it cannot be read, a column is not there or there twice, or a file
        contradicts the description.
    """
    path = description.source.path
    form = description.source.format or _format_of(path)
    place = description.position
    wanted = TableRequest(
        description.wanted,
        (place.ra, place.dec),
        description.catalog.id,
        description.source.table,
        description.source.delimiter,
        description.checks.integrity == "refuse",
    )
    if form == "hats":
        with _naming_the_file(Path(path)):
            files: list[TableFile] = list(open_hats(path))
    else:
        files = [_open(file, form, wanted) for file in _files(path, form)]
    for opened in files:
        with _naming_the_file(opened.path):
            check_columns(opened, description)
            check_declarations(opened, description)
    return Source(description, files)


def _open(path: Path, form: str, wanted: TableRequest) -> TableFile:
    readers: Mapping[str, Callable[[Path, TableRequest], TableFile]] = {
        "parquet": lambda path, _: ParquetFile(path),
        "csv": _delimited,
        "fits": FitsFile,
        "votable": VoTableFile,
    }
    try:
        return readers[form](path, wanted)
    except CatalogError as error:
        text = str(error)
        raise CatalogError(text if str(path) in text else f"{path}: {text}") from error
    except Exception as error:
        raise CatalogError(
            f"{path}: cannot be read as {form} ({type(error).__name__}: {error}): it is damaged, "
            "cut short or of another format; fetch it again, or set source.format"
        ) from error


def _delimited(path: Path, wanted: TableRequest) -> TableFile:
    if path.name.lower().removesuffix(".gz").endswith(".tsv"):
        wanted = replace(wanted, delimiter="\t")
    return DelimitedFile(path, wanted)


def _format_of(path: str) -> str:
    for form, suffixes in _SUFFIXES.items():
        if path.lower().endswith(suffixes):
            return form
    folder = Path(path)
    if folder.is_dir():
        return "hats" if is_hats(folder) else "parquet"
    forms = {_format_of(str(file)) for file in _matches(path)} if _is_pattern(path) else set()
    if len(forms) == 1:
        return forms.pop()
    raise CatalogError(
        f"{path}: its format cannot be told by its name: set source.format to parquet, fits, "
        "votable, csv or hats"
    )


def _files(path: str, form: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        files = _in_folder(place, form)
    elif _is_pattern(path):
        files = _matches(path)
    else:
        files = [place] if place.is_file() else []
    if not files:
        raise CatalogError(f"{path}: there is no such file")
    return files


def _is_pattern(path: str) -> bool:
    return any(sign in path for sign in "*?[") and not Path(path).exists()


def _matches(path: str) -> list[Path]:
    """Return the files that a pattern matches: hidden ones only if the pattern names them."""
    pattern = Path(path)
    root = Path(pattern.anchor)
    found = sorted(file for file in root.glob(str(pattern.relative_to(root))) if file.is_file())
    hidden = pattern.name.startswith(_HIDDEN)
    data = [file for file in found if not file.name.endswith(_CHECKSUMS)]
    return [file for file in data if hidden or not file.name.startswith(_HIDDEN)]


def _in_folder(folder: Path, form: str) -> list[Path]:
    """Return the files of a format in a folder, without those that are hidden.

    Raises
    ------
    CatalogError
        A log in the folder says which files count.
    """
    for name, what in _LOGS.items():
        is_log = (folder / name).is_dir() and (
            name != "metadata" or any((folder / name).glob("*.metadata.json"))
        )
        if is_log:
            raise CatalogError(
                f"{folder}: is {what}: {name} says which of its files count. Write it as plain "
                "Parquet files first"
            )
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not any(part.startswith(_HIDDEN) for part in file.relative_to(folder).parts)
    )
    named = [file for file in files if file.name.lower().endswith(_SUFFIXES[form])]
    if form != "parquet":
        return named
    # Spark and others also write parts without a suffix.
    return sorted({*named, *(file for file in files if not file.suffix and _is_parquet(file))})


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC
