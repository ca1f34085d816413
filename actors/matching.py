"""Find the sources of a catalogue near the positions of alerts.

There are three answers, which must not be confused:

`match`        a source is within the radius: the nearest, how far it is, how many there are
`none`         the catalogue has no source there
`not_checked`  the catalogue could not be searched there, with the reason
"""

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from catalogs.catalog import Catalog, Catalogs
from catalogs.index import around
from catalogs.shard import Shard
from finkray.errors import CatalogUnavailable
from finkray.index.pixels import sky_index
from finkray.text import error_text

MATCH: Final = "match"
NONE: Final = "none"
NOT_CHECKED: Final = "not_checked"

NO_POSITION: Final = "no_position"
"""The alert has no position, or none on the sphere."""
NO_TIME: Final = "no_time"
"""The sources move, and the alert has no time."""
TIME_OUT_OF_RANGE: Final = "time_out_of_range"
"""The sources move, and the alert is further from the epoch than the catalogue was built for."""
CATALOG_UNREADABLE: Final = "catalog_unreadable"
"""The catalogue's files could not be read."""

_ARCSEC: Final = 180.0 * 3600.0 / np.pi
_CODES: Final = pa.array([NOT_CHECKED, NONE, MATCH])
_REASON_NAMES: Final = (NO_POSITION, NO_TIME, TIME_OUT_OF_RANGE, CATALOG_UNREADABLE)
_REASONS: Final = pa.array(_REASON_NAMES)
_UNREADABLE: Final = _REASON_NAMES.index(CATALOG_UNREADABLE)

_LOG = logging.getLogger(__name__)


class _ShardMatches(NamedTuple):
    """Alerts with a source within the radius, the nearest source of each, and their number."""

    alerts: np.ndarray
    separation_arcsec: np.ndarray
    number: np.ndarray
    sources: pa.Table


def answer_schema(catalog: Catalog) -> pa.Schema:
    """Return the columns of the answer of `match`."""
    return pa.schema(
        [
            ("status", pa.string()),
            ("reason", pa.string()),
            ("version", pa.string()),
            ("number", pa.int32()),
            ("separation_arcsec", pa.float64()),
            ("nearest", pa.struct(catalog.source_fields)),
        ]
    )


def match(positions: pa.Table, catalog: Catalog) -> pa.Table:
    """Look alerts up in a catalogue.

    Parameters
    ----------
    positions
        `ra_deg`, `dec_deg`: ICRS, degrees; and for a catalogue with proper motions `mjd_tai`:
        the time of the alert. Anything may be null.
    catalog
        a version of a catalogue, as `Catalogs.current` opens it

    Returns
    -------
    pa.Table
        A row for each alert, in order:

        | column | |
        |---|---|
        | status | `match`, `none` or `not_checked` |
        | reason | why it was not checked, else null |
        | version | of the catalogue |
        | number | how many sources are within the radius; null if not checked |
        | separation_arcsec | of the nearest, as astropy computes it (Vincenty); null if none |
        | nearest | its position at the alert's time and the columns that are carried |

        Of sources at the same separation, that with the lower `_healpix_29` is the nearest; of
        those at the same place, the first in the catalogue.
    """
    batch = _Batch(positions, catalog)
    matches = []
    for shard, period, alerts in batch.by_shard(catalog):
        try:
            of_shard = _in_shard(catalog, catalog.shard(shard, period), batch, alerts)
        except CatalogUnavailable:
            batch.reason[alerts] = _UNREADABLE
            continue
        if of_shard is not None:
            matches.append(of_shard)
    return _answer(catalog, batch.reason, matches)


def match_current(positions: pa.Table, catalogs: Catalogs, name: str) -> pa.Table:
    """Look alerts up in the version of a catalogue that is used now.

    If that version is replaced and removed during the search, look them up in the new version.
    """
    catalog = catalogs.current(name)
    answer = match(positions, catalog)
    newest = catalogs.current(name)
    if newest is not catalog and CATALOG_UNREADABLE in answer["reason"].unique().to_pylist():
        return match(positions, newest)
    return answer


class _Batch:
    """The positions of a batch of alerts, and why some cannot be looked up.

    Attributes
    ----------
    reason
        index in `_REASONS` for each alert; -1 where there is none
    years
        from the catalogue's epoch; None if nothing moves
    """

    def __init__(self, positions: pa.Table, catalog: Catalog) -> None:
        self.ra_deg, self.dec_deg = _column(positions, "ra_deg"), _column(positions, "dec_deg")
        self.reason = np.full(len(self.ra_deg), -1, np.int8)
        self.years: np.ndarray | None = None
        with np.errstate(invalid="ignore"):
            self._refuse(~(np.isfinite(self.ra_deg) & (np.abs(self.dec_deg) <= 90.0)), NO_POSITION)
            if catalog.moves:
                self.years = catalog.years(_column(positions, "mjd_tai"))
                self._refuse(~np.isfinite(self.years), NO_TIME)
                self._refuse(~catalog.reaches(self.years), TIME_OUT_OF_RANGE)
        self._good = np.flatnonzero(self.reason < 0)
        self._index = sky_index(self.ra_deg[self._good] % 360.0, self.dec_deg[self._good])
        self._rings: dict[int, np.ndarray] = {}

    def _refuse(self, which: np.ndarray, why: str) -> None:
        self.reason[(self.reason < 0) & which] = _REASON_NAMES.index(why)

    def by_shard(self, catalog: Catalog) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield each shard and period that alerts lie in, with these alerts."""
        shards = catalog.shards_of(self._index)
        periods = np.zeros(len(shards), np.int64)
        if self.years is not None:
            periods = catalog.periods(self.years[self._good])
        order = np.lexsort((periods, shards))
        order = order[shards[order] >= 0]
        keys = np.stack([shards[order], periods[order]])
        new = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
        for group in np.split(order, np.flatnonzero(new) + 1):
            if len(group):
                yield int(shards[group[0]]), int(periods[group[0]]), self._good[group]

    def rings(self, order: int, alerts: np.ndarray) -> np.ndarray:
        """Return the pixels around alerts; computed for the whole batch at once."""
        if order not in self._rings:
            rings = np.full((len(self.ra_deg), 9), -1, np.int64)
            rings[self._good] = around(self._index, order)
            self._rings[order] = rings
        return self._rings[order][alerts]


def _column(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as float64, NaN for null."""
    numbers: np.ndarray = table[name].cast(pa.float64()).to_numpy().astype(np.float64)
    return numbers


def _in_shard(
    catalog: Catalog, shard: Shard, batch: _Batch, alerts: np.ndarray
) -> _ShardMatches | None:
    """Return the sources of a shard within the radius of alerts; None if there are none."""
    from astropy.coordinates import angular_separation

    order = catalog.search_order(shard)
    which, rows = shard.near(batch.rings(order, alerts), order)
    if not len(rows):
        return None
    alerts = alerts[which]
    ra, dec = shard.positions(rows, batch.years[alerts] if batch.years is not None else None)
    separation = _ARCSEC * angular_separation(
        np.radians(batch.ra_deg[alerts]), np.radians(batch.dec_deg[alerts]), ra, dec
    )
    near = np.flatnonzero(separation <= catalog.radius_arcsec)
    if not len(near):
        return None
    near = near[np.lexsort((rows[near], separation[near], alerts[near]))]
    nearest, first, number = np.unique(alerts[near], return_index=True, return_counts=True)
    best = near[first]
    sources = pa.table({"ra_deg": np.degrees(ra[best]), "dec_deg": np.degrees(dec[best])})
    carried = shard.columns.take(pa.array(rows[best]))
    for name in carried.column_names:
        sources = sources.append_column(name, carried[name])
    return _ShardMatches(nearest, separation[best], number, sources)


def _answer(catalog: Catalog, reason: np.ndarray, matches: list[_ShardMatches]) -> pa.Table:
    total = len(reason)
    schema = answer_schema(catalog)
    code = np.where(reason >= 0, 0, 1)
    number = np.zeros(total, np.int32)
    separation = np.zeros(total)
    row = np.zeros(total, np.int64)
    done = 0
    for of_shard in matches:
        code[of_shard.alerts] = 2
        number[of_shard.alerts] = of_shard.number
        separation[of_shard.alerts] = of_shard.separation_arcsec
        row[of_shard.alerts] = np.arange(done, done + len(of_shard.alerts))
        done += len(of_shard.alerts)
    matched = code == 2
    columns = pa.schema(catalog.source_fields)
    tables = [of_shard.sources.cast(columns) for of_shard in matches] or [columns.empty_table()]
    sources = pa.concat_tables(tables)
    taken = sources.take(pa.array(row, mask=~matched)).combine_chunks()
    nearest = pa.StructArray.from_arrays(
        [single_array(column) for column in taken.columns],
        fields=list(columns),
        mask=pa.array(~matched),
    )
    return pa.table(
        [
            _CODES.take(pa.array(code)),
            _REASONS.take(pa.array(reason, mask=reason < 0)),
            pa.array([catalog.version] * total, pa.string()),
            pa.array(number, mask=reason >= 0),
            pa.array(separation, mask=~matched),
            nearest,
        ],
        schema=schema,
    )


def log_unchecked(name: str, error: Exception) -> None:
    """Log why alerts are not checked with a catalogue."""
    _LOG.warning("catalogue %s did not answer, alerts are not checked: %s", name, error_text(error))


def single_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def by_alert(values: pa.Array, parts: int) -> pa.Array:
    """Return a list for each alert, from parts that each have a value for each alert."""
    alerts = len(values) // parts
    order = np.arange(len(values)).reshape(parts, alerts).T.ravel()
    offsets = pa.array(np.arange(alerts + 1) * parts, pa.int32())
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(order)))
