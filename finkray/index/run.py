"""Write, merge and search the runs of the index."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.index.alert_rows import AlertRows
from finkray.index.blocks import BlockFile, sorted_table, write_blocks
from finkray.index.manifest import RUNS_FOLDER, Run
from finkray.index.pixels import sky_index
from finkray.storage.contract import Storage

OBJECTS: Final = "objects.arrow"
POSITIONS: Final = "positions.arrow"
FILES: Final = "files.arrow"

_OBJECT_ORDER: Final = ("key", "file", "row")
_POSITION_ORDER: Final = ("pixel", "file", "row")


@dataclass(frozen=True, slots=True)
class RunTables:
    """The content of a run, sorted: see the package for the columns."""

    objects: pa.Table
    positions: pa.Table
    files: pa.Table


def tables_of(files: Mapping[str, AlertRows], first_file: int) -> RunTables:
    """Return the tables of files, which are numbered in their order."""
    numbered = list(enumerate(files.values(), first_file))
    of_key = [np.full(len(rows.keys), number, np.uint32) for number, rows in numbered]
    of_position = [np.full(len(rows.ra_deg), number, np.uint32) for number, rows in numbered]
    ra = _concat([rows.ra_deg for _, rows in numbered], np.float64)
    dec = _concat([rows.dec_deg for _, rows in numbered], np.float64)
    objects = {
        "key": _concat([rows.keys for _, rows in numbered], np.int64),
        "file": _concat(of_key, np.uint32),
        "row": _concat([rows.key_rows for _, rows in numbered], np.uint32),
    }
    positions = {
        "pixel": sky_index(ra, dec),
        "file": _concat(of_position, np.uint32),
        "row": _concat([rows.position_rows for _, rows in numbered], np.uint32),
        "key": _concat([rows.object_keys[rows.position_rows] for _, rows in numbered], np.int64),
        "ra_deg": ra,
        "dec_deg": dec,
    }
    table = pa.table(
        {
            "number": pa.array([number for number, _ in numbered], pa.uint32()),
            "path": pa.array(list(files), pa.string()),
            "rows": pa.array([rows.rows for _, rows in numbered], pa.uint32()),
        }
    )
    return RunTables(
        sorted_table(objects, _OBJECT_ORDER), sorted_table(positions, _POSITION_ORDER), table
    )


def write_run(
    storage: Storage,
    tables: RunTables,
    step: int,
    *,
    level: int,
    seqs: tuple[int, int],
    file_range: tuple[int, int],
) -> Run:
    """Write the files of a run for a step; they are durable, and no step names them yet."""
    name = f"{step:020d}-{secrets.token_hex(8)}"
    folder = f"{RUNS_FOLDER}/{name}"
    size_bytes = write_blocks(storage, f"{folder}/{OBJECTS}", tables.objects)
    size_bytes += write_blocks(storage, f"{folder}/{POSITIONS}", tables.positions)
    size_bytes += write_blocks(storage, f"{folder}/{FILES}", tables.files, compressed=True)
    alerts = int(np.sum(tables.files["rows"].to_numpy(), dtype=np.int64))
    return Run(
        name, level, *seqs, *file_range, tables.files.num_rows, alerts, size_bytes=size_bytes
    )


def merged(storage: Storage, runs: Sequence[Run], void: Sequence[int]) -> RunTables:
    """Return the content of several runs as that of one, without the files that are void.

    Raises
    ------
    FileNotFoundError
        if a run was merged and deleted meanwhile
    """
    dead = np.array(void, np.uint32)

    def together(name: str, order: Sequence[str], number: str) -> pa.Table:
        table = pa.concat_tables(
            BlockFile(storage, f"{run.folder}/{name}").all() for run in runs
        ).combine_chunks()
        if len(dead):
            table = table.filter(pa.array(~np.isin(table[number].to_numpy(), dead)))
        if order:
            columns = {column: table[column].to_numpy() for column in table.column_names}
            table = sorted_table(columns, order)
        return table

    return RunTables(
        together(OBJECTS, _OBJECT_ORDER, "file"),
        together(POSITIONS, _POSITION_ORDER, "file"),
        together(FILES, (), "number"),  # runs follow each other, and so do their files
    )


class OpenRun:
    """A run that is open for look-ups.

    Parameters
    ----------
    storage
        of the archive
    run
        the run

    Raises
    ------
    FileNotFoundError
        if the run was merged and deleted
    """

    def __init__(self, storage: Storage, run: Run) -> None:
        self._storage = storage
        self._run = run
        self._open: dict[str, BlockFile] = {}

    def of_keys(self, keys: np.ndarray) -> pa.Table:
        """Return key, file and row of the alerts of some objects."""
        return self._file(OBJECTS).of_keys(keys)

    def in_ranges(self, ranges: np.ndarray) -> pa.Table:
        """Return the alerts in ranges of pixels."""
        return self._file(POSITIONS).in_ranges(ranges)

    def paths(self, numbers: np.ndarray) -> dict[int, str]:
        """Return the paths of files by their numbers."""
        found = self._file(FILES).of_keys(np.unique(numbers).astype(np.int64))
        return dict(zip(found["number"].to_pylist(), found["path"].to_pylist(), strict=True))

    def numbers(self, paths: set[str]) -> list[int]:
        """Return the numbers of those files that this run has."""
        files = self._file(FILES).all()
        pairs = zip(files["number"].to_pylist(), files["path"].to_pylist(), strict=True)
        return [number for number, path in pairs if path in paths]

    def _file(self, name: str) -> BlockFile:
        if name not in self._open:
            self._open[name] = BlockFile(self._storage, f"{self._run.folder}/{name}")
        return self._open[name]


def _concat(arrays: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(
        [np.empty(0, dtype), *(each.astype(dtype, copy=False) for each in arrays)]
    )
