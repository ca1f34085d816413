"""The second pass over a night: the alerts in runs sorted by place, on the local disk.

A run has the alerts of some files, as three Arrow files: the flat alerts by their own place, the
flat columns of each object's latest alert, and the points of light curves, both by the object's
number, which is its order on the sky. They are mapped, so that a leaf reads its slices of all runs
and no more.
"""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from catalogs.hats_layout import INDEX
from catalogs.nights.curves import NUMBER as POINT_NUMBER
from catalogs.nights.curves import numbered_points
from catalogs.nights.inputs import NightInput, joined
from catalogs.nights.narrow import NarrowWriter
from catalogs.nights.places import NO_PLACE, Places
from catalogs.nights.steps import Steps

RUN_ROWS: Final = 25_000
"""Alerts of a run. Of ZTF they need 750 MB while they are read and sorted with their histories;
50 000 need 1250 MB, and take as much CPU time."""

RUN_BYTES: Final = 512 * 2**20
"""Bytes in memory of the columns of a run: of LSST, whose histories are 75 times longer."""

NUMBER: Final = "object"
"""Column of the number of the object."""

KEYS: Final = {"alerts": INDEX, "objects": NUMBER, "points": POINT_NUMBER}
"""The column by which a run is sorted, by kind of run."""


class Runs:
    """The runs of a night in a folder of the local disk.

    Parameters
    ----------
    folder
        an empty folder with room for some 3 kB an alert of ZTF
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {kind: [] for kind in KEYS}

    def add(self, kind: str, rows: pa.Table) -> None:
        """Write rows, sorted by the key of their kind, as its next run."""
        if not rows.num_rows:
            return
        keys = rows[KEYS[kind]].to_numpy()
        order = np.argsort(keys, kind="stable")
        path = self._path(kind, len(self._starts[kind]))
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows.take(pa.array(order)).combine_chunks())
        # An object has many points: its key and first row are enough.
        different, starts = np.unique(keys[order], return_index=True)
        self._starts[kind].append((different, np.append(starts, len(keys))))

    def slice(self, kind: str, first: int, end: int) -> pa.Table | None:
        """Return the rows whose key is at least `first` and below `end`; None if there are none."""
        tables = []
        for number, (keys, starts) in enumerate(self._starts[kind]):
            start, stop = starts[np.searchsorted(keys, [first, end])]
            if stop > start:
                tables.append(self._mapped(kind, number).slice(start, stop - start))
        return pa.concat_tables(tables) if tables else None

    def of_keys(self, kind: str, wanted: np.ndarray) -> pa.Table | None:
        """Return the rows with one of some keys; None if there are none."""
        tables = []
        for number, (keys, starts) in enumerate(self._starts[kind]):
            found = np.flatnonzero(np.isin(keys, wanted))
            rows = [np.arange(starts[at], starts[at + 1]) for at in found]
            if rows:
                tables.append(self._mapped(kind, number).take(pa.array(np.concatenate(rows))))
        return pa.concat_tables(tables) if tables else None

    def _mapped(self, kind: str, number: int) -> pa.Table:
        """Return a run, mapped as long as the table or a slice of it is used.

        Pages of runs that stay mapped would count as memory of this process.
        """
        with pa.memory_map(self._path(kind, number)) as pages:
            return pa.ipc.open_file(pages).read_all()

    def _path(self, kind: str, number: int) -> str:
        return str(self._folder / f"{kind}-{number:05d}.arrow")


def make_runs(
    night: NightInput,
    places: Places,
    narrow: NarrowWriter | None,
    folder: Path,
    steps: Steps,
) -> Runs:
    """Read all alerts again, and put them aside by place; write their narrow columns if wanted."""
    runs = Runs(folder)
    columns = night.all_sources
    first = 0
    for group in night.groups(RUN_ROWS, RUN_BYTES):
        tables = [night.read_file(file, columns) for file in group]
        if narrow is not None:
            for file, table in zip(group, tables, strict=True):
                narrow.add(file, table)
        alerts = joined(tables)
        numbers = np.arange(first, first + alerts.num_rows)
        first += alerts.num_rows
        place, objects = places.alert_place[numbers], places.alert_object[numbers]
        flat = night.flatten(alerts)
        there = np.flatnonzero(place != NO_PLACE)
        runs.add("alerts", with_column(flat.take(pa.array(there)), INDEX, place[there]))
        known = np.flatnonzero(objects != NO_PLACE)
        latest = known[places.object_latest[objects[known]] == numbers[known]]
        runs.add("objects", with_column(flat.take(pa.array(latest)), NUMBER, objects[latest]))
        runs.add("points", numbered_points(alerts, objects, night.survey.name))
        steps.tell(f"sorted {first:,} alerts")
        steps.go_on()
    return runs


def with_column(rows: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """Return a table with an int64 column before the others."""
    return rows.add_column(0, pa.field(name, pa.int64()), pa.array(values, pa.int64()))
