"""Read what HATS catalogues need of the alerts of some nights, from the files of the ledger."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogs.nights.index import NightFacts, survey_of
from catalogs.nights.layout import OBJECT_ID
from finkray import adapter
from finkray.claim import DataFile
from finkray.curves.raw import HISTORIES
from finkray.curves.raw import columns as point_columns
from finkray.errors import NightError, StorageError
from finkray.ledger.claims import claim_tables
from finkray.nights.layout import is_narrow
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import unify
from finkray.surveys import SURVEYS
from finkray.surveys.survey import Survey

POSITION: Final = ("ra", "dec")
"""Flat columns that are the adapter's: older packets of LSST name them otherwise, and a sentinel is
no position."""

_NIGHT: Final = "obs_night"


class NightFile(NamedTuple):
    """A file of the archive that may have alerts of the nights, as the ledger names it."""

    path: str
    rows: int
    size_bytes: int
    fingerprint: str


class Flat(NamedTuple):
    """A column of the catalogues, and its source in a file: a column, or a field of the record."""

    name: str
    path: str
    type: pa.DataType


@dataclass(frozen=True, slots=True)
class NightInput:
    """The files of one night or several, and the columns that their catalogues have.

    Attributes
    ----------
    storage
        of the archive
    survey, nights
        whose alerts
    files
        in the order in which they are read, the same each time
    flat
        the columns of the alerts, the same for all leaves
    narrow
        the columns without images and lists, as the hourly files have them
    left_out
        names of the other columns
    point_sources
        columns, and fields of records, from which light curves are made
    row_bytes
        by fingerprint of the schema, bytes in memory of an alert's columns that are read
    """

    storage: Storage
    survey: Survey
    nights: frozenset[date]
    files: tuple[NightFile, ...]
    flat: tuple[Flat, ...]
    narrow: pa.Schema
    left_out: tuple[str, ...]
    point_sources: tuple[str, ...]
    row_bytes: Mapping[str, float]

    @property
    def flat_schema(self) -> pa.Schema:
        """Columns of the alerts."""
        return pa.schema([(column.name, column.type) for column in self.flat])

    @property
    def object_id(self) -> str:
        """Name of the column with the object's id."""
        return OBJECT_ID[self.survey.name]

    def groups(self, rows: int, data_bytes: int) -> Iterator[list[NightFile]]:
        """Yield the files in groups of about so many rows, or bytes of the columns that are read.

        Parameters
        ----------
        rows, data_bytes
            a group ends with the file that reaches one of them
        """
        group: list[NightFile] = []
        group_rows, group_bytes = 0, 0.0
        for file in self.files:
            group.append(file)
            group_rows += file.rows
            group_bytes += file.rows * self.row_bytes[file.fingerprint]
            if group_rows >= rows or group_bytes >= data_bytes:
                yield group
                group, group_rows, group_bytes = [], 0, 0.0
        if group:
            yield group

    def read(self, files: Sequence[NightFile], columns: Sequence[str]) -> pa.Table:
        """Return the alerts of the nights in some files, in the order of the files.

        Parameters
        ----------
        files
            the files
        columns
            top-level columns or fields of records; those that a file lacks are null

        Raises
        ------
        StorageError
            if a file is missing or cannot be read
        NightError
            if a file does not have the number of rows that the ledger names
        """
        return joined([self.read_file(file, columns) for file in files])

    def flatten(self, alerts: pa.Table) -> pa.Table:
        """Return the flat columns of alerts that were read with `flat_sources`."""
        detections = adapter.detections(alerts)
        positions = dict(zip(POSITION, (detections["ra_deg"], detections["dec_deg"]), strict=True))
        out = [
            positions[column.name]
            if column.name in POSITION
            else _column(alerts, column.path, column.type)
            for column in self.flat
        ]
        return pa.table(out, schema=self.flat_schema)

    @property
    def flat_sources(self) -> list[str]:
        """Top-level columns that `flatten` needs."""
        paths = [*(column.path for column in self.flat), *adapter.columns("detection")]
        return list(dict.fromkeys(map(_top, paths)))

    @property
    def all_sources(self) -> list[str]:
        """What `flatten`, the narrow columns and light curves need."""
        whole = list(dict.fromkeys([*self.flat_sources, *self.narrow.names]))
        return [*whole, *(path for path in self.point_sources if _top(path) not in whole)]

    def read_file(self, file: NightFile, columns: Sequence[str]) -> pa.Table:
        """Return the alerts of the nights in a file; see `read`."""
        with _opened(self.storage, file.path) as source:
            wanted = [name for name in columns if has(source.schema_arrow, name)]
            table = source.read(columns=[*dict.fromkeys([_NIGHT, *wanted])])
        if table.num_rows != file.rows:
            raise NightError(
                f"{file.path} has {table.num_rows} rows and the ledger says {file.rows}: "
                "`finkray audit --deep` tells which files differ"
            )
        # An alert without a night is of none of these.
        ours = pc.is_in(table[_NIGHT], value_set=pa.array(sorted(self.nights), pa.date32()))
        return table if pc.all(ours).as_py() else table.filter(ours)


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of tables of several files as one table, with nulls for what a file lacks."""
    return pa.concat_tables(tables, promote_options="permissive").combine_chunks()


def night_input(
    storage: Storage, survey: str, nights: Collection[date], facts: NightFacts
) -> NightInput:
    """Find the files of one night or several, and their columns.

    Raises
    ------
    StorageError
        if a file of the ledger is missing
    NightError
        if two files have types that cannot be one column
    """
    by_fingerprint: dict[str, list[NightFile]] = {}
    for file in _ledger_files(storage, facts):
        by_fingerprint.setdefault(file.fingerprint, []).append(file)
    files: list[NightFile] = []
    schemas: dict[str, pa.Schema] = {}
    for same_schema in by_fingerprint.values():
        # The earliest and the latest: a later finkray may have added a column.
        found = {
            file.path: _schema(storage, file.path) for file in (same_schema[0], same_schema[-1])
        }
        if survey_of(found[same_schema[0].path]) == survey:
            files += same_schema
            schemas |= found
    try:
        schema = unify(schemas)
    except ValueError as error:
        raise NightError(
            f"nights {min(nights)} to {max(nights)} of {survey} cannot be one table: {error}"
        ) from error
    described = SURVEYS[survey]
    flat = tuple(_flat_columns(schema, described))
    of_points = tuple(name for name in point_columns(survey) if has(schema, name))
    tops = {described.record, *(column.path for column in flat), *HISTORIES[survey]}
    tops.update(field.name for field in schema if is_narrow(field.type))
    return NightInput(
        storage=storage,
        survey=described,
        nights=frozenset(nights),
        files=tuple(sorted(files)),
        flat=flat,
        narrow=pa.schema([field for field in schema if is_narrow(field.type)]),
        left_out=tuple(field.name for field in schema if not is_narrow(field.type)),
        point_sources=of_points,
        row_bytes={
            fingerprint: _row_bytes(storage, same_schema[-1], tops)
            for fingerprint, same_schema in by_fingerprint.items()
        },
    )


def _row_bytes(storage: Storage, file: NightFile, tops: Collection[str]) -> float:
    with _opened(storage, file.path) as source:
        groups = [source.metadata.row_group(n) for n in range(source.num_row_groups)]
        return sum(
            column.total_uncompressed_size
            for group in groups
            for column in map(group.column, range(group.num_columns))
            if column.path_in_schema.partition(".")[0] in tops
        ) / max(1, file.rows)


def _ledger_files(storage: Storage, facts: NightFacts) -> list[NightFile]:
    """Return the files of the ledger in the folders of the nights, by path."""
    folders = pa.array(sorted(facts.folders), pa.string())
    files: dict[str, NightFile] = {}
    for table in claim_tables(storage, ["files"], facts.through_entry):
        for batch in table.to_batches():
            flat = batch.column("files").flatten()
            paths = pc.struct_field(flat, "path")
            inside = pc.is_in(
                pc.replace_substring_regex(paths, pattern="/[^/]*$", replacement=""),
                value_set=folders,
            )
            for row in flat.filter(inside).to_pylist():
                file = DataFile.from_json(row).whole
                fingerprint = str(file.schema_fingerprint)
                files[file.path] = NightFile(file.path, file.rows, file.size_bytes, fingerprint)
    return sorted(files.values())


def _flat_columns(schema: pa.Schema, survey: Survey) -> Iterator[Flat]:
    """Yield the columns of the catalogues: single values of the alert, then of its record.

    Images and lists are left out. Where both have a name, the record's counts.
    """
    record = schema.field(survey.record).type
    fields = [record.field(n) for n in range(record.num_fields)]
    own = {field.name for field in fields}
    for field in schema:
        if field.name not in own and not pa.types.is_nested(field.type) and not _bytes(field.type):
            yield Flat(field.name, field.name, field.type)
    for field in fields:
        if field.name not in POSITION and not _bytes(field.type):
            yield Flat(field.name, f"{survey.record}.{field.name}", field.type)
    for name in POSITION:
        yield Flat(name, f"{survey.record}.{name}", pa.float64())


def _top(path: str) -> str:
    return path.partition(".")[0]


def _bytes(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type))


def _column(alerts: pa.Table, path: str, data_type: pa.DataType) -> pa.Array:
    top, _, name = path.partition(".")
    at = alerts.schema.get_field_index(top)
    missing = at < 0 or (name and alerts.schema.field(at).type.get_field_index(name) < 0)
    if missing:
        return pa.nulls(alerts.num_rows, data_type)
    values = alerts.column(at)
    values = pc.struct_field(values, name) if name else values
    return values.cast(data_type)


def place_values(alerts: pa.Table) -> tuple[pa.Array, np.ndarray, np.ndarray, np.ndarray]:
    """Return of each alert the object's id (null for none), position in degrees, and time.

    A position that is missing or absurd is NaN; a missing time comes before all others.
    """
    detections = adapter.detections(alerts)
    ra, dec, time = (
        detections[name].combine_chunks().to_numpy(zero_copy_only=False)
        for name in ("ra_deg", "dec_deg", "mjd_tai")
    )
    absurd = ~(np.abs(dec) <= 90.0) | ~(np.abs(ra) <= 720.0)
    return (
        detections["object_id"].combine_chunks(),
        np.where(absurd, np.nan, ra),
        np.where(absurd, np.nan, dec),
        np.nan_to_num(time, nan=-np.inf),
    )


def _schema(storage: Storage, path: str) -> pa.Schema:
    with _opened(storage, path) as source:
        return source.schema_arrow


@contextmanager
def _opened(storage: Storage, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file of the archive as Parquet; errors say what to do."""
    try:
        with storage.open(path) as source, pq.ParquetFile(source) as file:
            yield file
    except FileNotFoundError as error:
        raise StorageError(
            f"{path} is in the ledger and not in the archive: try again when it is published; if "
            "it is lost, `finkray audit --redrive` writes it again"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
