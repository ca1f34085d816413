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
from catalogs.nights.inputs import NightInput
from catalogs.nights.places import NO_PLACE, Places
from catalogs.nights.points import raw_points
from catalogs.nights.steps import Steps

RUN_ROWS: Final = 50_000
"""Alerts of a run. Of ZTF they need some 300 MB with their histories."""

RUN_BYTES: Final = 512 * 2**20
"""Bytes in memory of the columns of a run: of LSST, whose histories are 75 times longer."""

NUMBER: Final = "object"
"""Column of the number of the object."""

KINDS: Final = ("alerts", "objects", "points")


class Runs:
    """The runs of a night in a folder of the local disk.

    Parameters
    ----------
    folder
        an empty folder with room for some 3 kB an alert of ZTF
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        self.rows = dict.fromkeys(KINDS, 0)

    def add(self, kind: str, rows: pa.Table, key: str) -> None:
        """Write rows, sorted by a column, as the kind's next run."""
        keys = rows[key].to_numpy()
        order = np.argsort(keys, kind="stable")
        path = self._path(kind, len(self._keys[kind]))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows.take(pa.array(order)).combine_chunks())
        self._keys[kind].append(keys[order])
        self.rows[kind] += rows.num_rows

    def slice(self, kind: str, first: int, end: int) -> pa.Table | None:
        """Return the rows whose key is at least `first` and below `end`; None if there are none."""
        tables = []
        for number, keys in enumerate(self._keys[kind]):
            start, stop = np.searchsorted(keys, [first, end])
            if stop > start:
                with pa.memory_map(str(self._path(kind, number))) as pages:
                    table = pa.ipc.open_file(pages).read_all()
                    tables.append(table.slice(start, stop - start))
        return pa.concat_tables(tables) if tables else None

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}-{number:05d}.arrow"


def make_runs(
    night: NightInput,
    places: Places,
    folder: Path,
    steps: Steps,
) -> Runs:
    """Read all alerts of a night again, and put them aside by place."""
    runs = Runs(folder)
    columns = [*night.flat_sources, *night.histories]
    first = 0
    for group in night.groups(RUN_ROWS, RUN_BYTES):
        alerts = night.read(group, columns)
        numbers = np.arange(first, first + alerts.num_rows)
        first += alerts.num_rows
        place, objects = places.alert_place[numbers], places.alert_object[numbers]
        flat = night.flatten(alerts)
        there = np.flatnonzero(place != NO_PLACE)
        runs.add("alerts", with_column(flat.take(pa.array(there)), INDEX, place[there]), INDEX)
        known = np.flatnonzero(objects != NO_PLACE)
        latest = known[places.object_latest[objects[known]] == numbers[known]]
        rows = with_column(flat.take(pa.array(latest)), NUMBER, objects[latest])
        runs.add("objects", rows, NUMBER)
        points = raw_points(alerts, objects, night.survey.name)
        runs.add("points", points, NUMBER)
        steps.tell(f"sorted {first:,} alerts")
        steps.go_on()
    return runs


def with_column(rows: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """Return a table with an int64 column before the others."""
    return rows.add_column(0, pa.field(name, pa.int64()), pa.array(values, pa.int64()))
