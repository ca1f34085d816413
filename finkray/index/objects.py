"""Find the alerts of objects and of circles on the sky: which file, and which row of it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import StorageError
from finkray.index.alert_rows import AlertRows, DamagedFile, read_alert_rows, read_names
from finkray.index.circle import checked_circle, separations_arcsec
from finkray.index.keys import NO_KEY, is_hashed, keys_of, name_of
from finkray.index.manifest import Manifest, read_manifest
from finkray.index.pending import Pending, entries_after
from finkray.index.pixels import circle_ranges
from finkray.index.run import OpenRun
from finkray.index.status import IndexStatus
from finkray.ledger.entry import Entry
from finkray.storage.contract import Storage

ROWS: Final = pa.schema([("object_id", pa.string()), ("file", pa.string()), ("row", pa.int64())])
"""Columns of `ObjectIndex.rows_of`: the id as it was given, path in the archive, and row in it."""

CONE_ROWS: Final = pa.schema(
    [
        ("object_id", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""Columns of `ObjectIndex.rows_in_cone`: the object is null for an alert that names none."""

OBJECTS: Final = pa.schema(
    [
        ("object_id", pa.string()),
        ("alerts", pa.int64()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""Columns of `ObjectIndex.objects`: alerts in the circle, and the position of the nearest."""

_ATTEMPTS: Final = 3

_DAMAGE: Final = (
    *(DamagedFile, OSError, pa.ArrowException),
    # What a file of the index that is not of the index leads to.
    *(KeyError, IndexError, TypeError, ValueError),
)

T = TypeVar("T")


class ObjectIndex:
    """The alerts of an archive by object and by position, as of the last `refresh`.

    Files that no run holds yet are read directly, so an answer has every alert that is durable and
    published. Not to be used by several threads at once.

    Parameters
    ----------
    storage
        of the archive
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._runs: dict[str, OpenRun] = {}
        self._fresh: dict[str, tuple[Entry | None, AlertRows]] = {}
        self.refresh()

    @classmethod
    def open(cls, storage: Storage) -> "ObjectIndex":
        """Return the index of an archive as it is now.

        Raises
        ------
        StorageError
            if it cannot be read
        LedgerCorrupt
            if the ledger cannot be read
        """
        return cls(storage)

    def refresh(self) -> None:
        """Take in what was archived and indexed since; `StorageError` if it cannot be read."""
        manifest = read_manifest(self._storage)
        entries = entries_after(self._storage, manifest)
        if entries is None:  # of another ledger
            manifest = Manifest()
            entries = entries_after(self._storage, manifest)
        pending = Pending()
        for entry in entries or ():
            pending.add(entry)
        self._manifest, self._pending = manifest, pending
        self._void = np.array(manifest.void, np.int64)
        self._runs = {
            run.name: self._runs.get(run.name) or OpenRun(self._storage, run)
            for run in manifest.runs
        }
        unindexed = set(self.unindexed_files())
        self._fresh = {
            path: (entry, rows)
            for path, (entry, rows) in self._fresh.items()
            if path in unindexed and pending.files.get(path) == entry
        }

    def status(self) -> IndexStatus:
        """Return how far the index is."""
        runs = self._manifest.runs
        return IndexStatus(
            indexed_alerts=self._manifest.alerts,
            indexed_files=sum(run.files for run in runs),
            unindexed_alerts=self._pending.rows,
            unindexed_files=len(self.unindexed_files()),
            skipped_files=len(self._manifest.skipped),
            runs=len(runs),
            size_bytes=sum(run.size_bytes for run in runs),
            next_entry=self._manifest.next_seq,
        )

    def unindexed_files(self) -> list[str]:
        """Return the paths of the files that no run holds yet, the newest last."""
        skipped = (path for path in self._manifest.skipped if path not in self._pending.replaced)
        return list(dict.fromkeys([*skipped, *self._pending.files]))

    def rows_of(self, object_ids: Sequence[str | int]) -> pa.Table:
        """Return the alerts of objects: columns `ROWS`, by file and row, in no order of time.

        Parameters
        ----------
        object_ids
            ZTF's `objectId`, LSST's `diaObjectId` or `ssObjectId`; many at once cost less than
            one after another

        Raises
        ------
        StorageError
            if index or files cannot be read
        """
        names = list(dict.fromkeys(str(each).strip() for each in object_ids))
        keys = keys_of(names)
        known = {key: name for key, name in zip(keys.tolist(), names, strict=True) if key}
        if not known:
            return ROWS.empty_table()
        return self._retried(lambda: self._rows_of(names, keys, np.array(sorted(known), np.int64)))

    def files_of(self, object_ids: Collection[str | int]) -> list[str]:
        """Return the files that may have alerts of objects, and all that have: `rows_of` is exact.

        No file of alerts that a run holds is opened.

        Raises
        ------
        StorageError
            as `rows_of`
        """
        keys = keys_of(list(object_ids))
        wanted = np.unique(keys[keys != NO_KEY])
        if not len(wanted):
            return []
        return self._retried(
            lambda: self._files(
                lambda run: run.of_keys(wanted), lambda rows: np.isin(rows.keys, wanted)
            )
        )

    def files_in_circle(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> list[str]:
        """Return the files with alerts in a circle; as `rows_in_cone`, which says which alerts.

        Raises
        ------
        ValueError, StorageError
            as `rows_in_cone`
        """
        at_ra, at_dec, radius = checked_circle(ra_deg, dec_deg, radius_arcsec)
        ranges = circle_ranges(at_ra, at_dec, radius)

        def near(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
            within: np.ndarray = separations_arcsec(ra, dec, at_ra, at_dec) <= radius
            return within

        def in_run(run: OpenRun) -> pa.Table:
            found = run.in_ranges(ranges)
            return found.filter(
                pa.array(near(found["ra_deg"].to_numpy(), found["dec_deg"].to_numpy()))
            )

        return self._retried(
            lambda: self._files(in_run, lambda rows: near(rows.ra_deg, rows.dec_deg))
        )

    def rows_in_cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
        """Return the alerts in a circle, the nearest first: columns `CONE_ROWS`.

        Raises
        ------
        ValueError
            if the circle is none, or wider than 10 degrees
        StorageError
            if index or files cannot be read
        """
        circle = checked_circle(ra_deg, dec_deg, radius_arcsec)
        return self._retried(lambda: self._rows_in_cone(*circle))

    def objects(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
        """Return the objects with an alert in a circle, the nearest first: columns `OBJECTS`.

        Raises
        ------
        ValueError, StorageError
            as `rows_in_cone`
        """
        rows = self.rows_in_cone(ra_deg, dec_deg, radius_arcsec)
        named = rows.filter(pc.is_valid(rows["object_id"]))
        columns = ["ra_deg", "dec_deg", "separation_arcsec"]
        found = named.group_by("object_id", use_threads=False).aggregate(
            [("row", "count"), *((name, "first") for name in columns)]
        )
        renamed = found.select(["object_id", "row_count", *(f"{name}_first" for name in columns)])
        return renamed.rename_columns(OBJECTS.names).cast(OBJECTS)

    def _files(
        self, in_run: Callable[[OpenRun], pa.Table], in_file: Callable[[AlertRows], np.ndarray]
    ) -> list[str]:
        """Return the files in which a run or a file that no run holds has wanted alerts."""
        files: set[str] = set()
        for run in self._runs.values():
            numbers = np.unique(in_run(run)["file"].to_numpy())
            numbers = numbers[~np.isin(numbers, self._void)]
            paths = run.paths(numbers)
            files.update(paths[number] for number in numbers.tolist())
        files -= self._pending.replaced
        files.update(path for path, rows in self._fresh_rows() if in_file(rows).any())
        return sorted(files)

    def _rows_of(self, names: list[str], keys: np.ndarray, wanted: np.ndarray) -> pa.Table:
        parts = []
        for run in self._runs.values():
            found = run.of_keys(wanted)
            if found.num_rows:
                parts.append(self._with_paths(run, found))
        for path, rows in self._fresh_rows():
            at = np.flatnonzero(np.isin(rows.keys, wanted))
            if len(at):
                parts.append(
                    pa.table(
                        {
                            "key": rows.keys[at],
                            "row": pa.array(rows.key_rows[at], pa.int64()),
                            "path": pa.repeat(pa.scalar(path), len(at)),
                        }
                    )
                )
        if not parts:
            return ROWS.empty_table()
        columns = ["key", "path", "row"]
        together = pa.concat_tables(part.select(columns) for part in parts)
        out = self._named(together, names, keys)
        return out.sort_by([("file", "ascending"), ("row", "ascending")])

    def _named(self, found: pa.Table, names: list[str], keys: np.ndarray) -> pa.Table:
        """Replace keys by the ids that were asked for; what has a hash is compared by name."""
        hashed = is_hashed(found["key"].to_numpy())
        exact = found.filter(pa.array(~hashed))
        at = pc.index_in(exact["key"], value_set=pa.array(keys))
        ids = pa.array(names, pa.string()).take(at)
        parts = [exact.set_column(0, "object_id", ids)]
        of_file: dict[str, list[list[str | None]]] = {}
        asked = set(names)
        doubtful = []
        for row in found.filter(pa.array(hashed)).to_pylist():
            path, number = row["path"], row["row"]
            if path not in of_file:
                of_file[path] = read_names(self._storage, path)
            there = {column[number] for column in of_file[path]} & asked
            doubtful += [
                {"object_id": name, "path": path, "row": number}
                for name in there
                if int(keys_of([str(name)])[0]) == row["key"]
            ]
        if doubtful:
            parts.append(pa.Table.from_pylist(doubtful, schema=parts[0].schema))
        return pa.concat_tables(parts).rename_columns(ROWS.names).cast(ROWS)

    def _rows_in_cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
        columns = ["key", "path", "row", "ra_deg", "dec_deg"]
        parts = []
        if self._runs:
            ranges = circle_ranges(ra_deg, dec_deg, radius_arcsec)
            for run in self._runs.values():
                found = run.in_ranges(ranges)
                if found.num_rows:
                    parts.append(self._with_paths(run, found).select(columns))
        for path, rows in self._fresh_rows():
            near = separations_arcsec(rows.ra_deg, rows.dec_deg, ra_deg, dec_deg) <= radius_arcsec
            if near.any():
                at = rows.position_rows[near]
                values = (
                    rows.object_keys[at],
                    pa.repeat(pa.scalar(path), len(at)),
                    pa.array(at, pa.int64()),
                    rows.ra_deg[near],
                    rows.dec_deg[near],
                )
                parts.append(pa.table(dict(zip(columns, values, strict=True))))
        if not parts:
            return CONE_ROWS.empty_table()
        found = pa.concat_tables(parts).combine_chunks()
        separation = separations_arcsec(
            found["ra_deg"].to_numpy(), found["dec_deg"].to_numpy(), ra_deg, dec_deg
        )
        found = found.append_column("separation_arcsec", pa.array(separation))
        found = found.filter(pa.array(separation <= radius_arcsec))
        names = pa.array(list(self._names_of(found)), pa.string())
        found = found.set_column(0, "object_id", names).rename_columns(CONE_ROWS.names)
        order = [("separation_arcsec", "ascending"), ("file", "ascending"), ("row", "ascending")]
        return found.cast(CONE_ROWS).sort_by(order)

    def _names_of(self, found: pa.Table) -> Iterator[str | None]:
        """Yield the object's id of each row; of what has a hash it is read from the file."""
        of_file: dict[str, list[list[str | None]]] = {}
        for row in found.select(["key", "path", "row"]).to_pylist():
            key, path = row["key"], row["path"]
            if not is_hashed(np.array([key]))[0]:
                yield name_of(key)
                continue
            if path not in of_file:
                of_file[path] = read_names(self._storage, path)
            names = (column[row["row"]] for column in of_file[path])
            yield next((name for name in names if name), None)

    def _with_paths(self, run: OpenRun, found: pa.Table) -> pa.Table:
        """Add the paths of the files; leave out what the ledger has replaced."""
        numbers = found["file"].to_numpy()
        if len(self._void):
            found = found.filter(pa.array(~np.isin(numbers, self._void)))
            numbers = found["file"].to_numpy()
        paths = run.paths(numbers)
        found = found.append_column(
            "path", pa.array([paths[number] for number in numbers.tolist()], pa.string())
        )
        if self._pending.replaced:
            gone = pa.array(sorted(self._pending.replaced), pa.string())
            found = found.filter(pc.invert(pc.is_in(found["path"], value_set=gone)))
        at = found.schema.get_field_index("row")
        return found.set_column(at, "row", found["row"].cast(pa.int64()))

    def _fresh_rows(self) -> Iterator[tuple[str, AlertRows]]:
        for path in self.unindexed_files():
            if path not in self._fresh:
                try:
                    rows = read_alert_rows(self._storage, path)
                except FileNotFoundError:
                    continue  # not published yet, or lost
                self._fresh[path] = (self._pending.files.get(path), rows)
            yield path, self._fresh[path][1]

    def _retried(self, look: Callable[[], T]) -> T:
        """Look again when a run that was merged meanwhile is deleted."""
        for _ in range(_ATTEMPTS):
            try:
                return look()
            except FileNotFoundError:
                self._runs.clear()
                self.refresh()
            except _DAMAGE as error:
                raise StorageError(f"an alert file or the index cannot be read: {error}") from error
        raise StorageError(
            f"runs of the object index in {self._storage.uri} or files of alerts vanish while they "
            "are read: try again, and see `finkray audit`"
        )
