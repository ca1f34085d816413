"""Build a catalogue: its files once through to count and to check, once more to cut into shards.

1. Each piece is read; positions become degrees; what cannot be right is refused or counted.
2. The counts by HEALPix pixel say how the sky is cut; ids that come twice are found.
3. Each piece is read again; its rows are put aside by shard, and by shard in whose margin they
   lie.
4. Each shard is sorted and written; the metadata of HATS go beside them.
5. The folder gets the name of its version, and the version becomes the one that is used.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogs.description import Description
from catalogs.duplicates import DuplicateFinder, Duplicates
from catalogs.hats_layout import (
    INDEX,
    MAIN,
    MARGIN,
    finish_catalog,
    finish_collection,
    write_leaf,
)
from catalogs.index import sky_index
from catalogs.partition import HISTOGRAM_ORDER, Margins, Ranges, cut, shift
from catalogs.positions import Extent, Positions, Reader
from catalogs.sources import open_source
from catalogs.spill import Spill
from catalogs.store import Built, CatalogStore
from finkray.errors import CatalogError

Tell = Callable[[str], None]
Leaf = tuple[str, tuple[int, int]]


def build(store: CatalogStore, description: Description, tell: Tell = lambda _: None) -> Built:
    """Build the version that a description is of, and let it be used from now on.

    Parameters
    ----------
    tell
        is told how far it is

    Raises
    ------
    CatalogError
        Wrong units, missing columns, duplicate ids, sources without a position: the message
        names the column and counts the rows. Nothing is left behind.
    """
    name, version = description.catalog.name, description.catalog.version
    with store.building(name, version) as draft:
        source = _Input(description)
        survey = _survey(source, draft / "ids", tell)
        margin_arcsec = _margin_arcsec(description, survey.extent)
        pixels = cut(survey.histogram, description.catalog.shard_rows, margin_arcsec)
        shards = _Shards(draft, pixels, margin_arcsec)
        _scatter(source, survey, shards, tell)
        rows, size = shards.write(name, survey, margin_arcsec, tell)
        built = Built(
            rows_read=survey.rows,
            rows=rows,
            dropped_null_positions=survey.null_positions,
            dropped_duplicate_ids=len(survey.duplicates.rows),
            shards=len(pixels),
            margin_arcsec=margin_arcsec,
            fastest_mas_yr=survey.extent.fastest_mas_yr,
            data_bytes=size,
            at_unix_s=time.time(),
        )
        store.publish(draft, description, built)
    store.use(name, version)
    return built


class _Input:
    """The files of a catalogue with the positions that are in them."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._source = open_source(description)
        self._reader = Reader(description, self._source.units())

    def pieces(self) -> Iterator[tuple[int, pa.Table, Positions]]:
        """The number of its first row, a piece, and its positions; at least one, if empty."""
        first = 0
        for chunk in self._source.chunks(self.description.wanted):
            yield first, chunk, self._reader.read(chunk)
            first += chunk.num_rows
        if not first:
            nothing = pa.array([], pa.float64())
            chunk = pa.table(dict.fromkeys(self.description.wanted, nothing))
            yield 0, chunk, self._reader.read(chunk)


@dataclass
class _Survey:
    """What the first reading found."""

    rows: int = 0
    null_positions: int = 0
    extent: Extent = field(default_factory=Extent)
    histogram: np.ndarray = field(
        default_factory=lambda: np.zeros(12 * 4**HISTOGRAM_ORDER, np.int64)
    )
    duplicates: Duplicates = field(default_factory=lambda: Duplicates(np.empty(0, np.int64), ()))


def _survey(source: _Input, ids: Path, tell: Tell) -> _Survey:
    """Read everything once.

    Raises
    ------
    CatalogError
        If something is found that the description does not allow.
    """
    description, survey = source.description, _Survey()
    checks = description.checks
    id_column = description.catalog.id if checks.duplicate_ids != "keep" else ""
    finder = DuplicateFinder(ids) if id_column else None
    for first, chunk, positions in source.pieces():
        if finder:
            numbers = np.arange(first, first + chunk.num_rows)[positions.present]
            finder.add(chunk[id_column].filter(pa.array(positions.present)), numbers)
        survey.rows += chunk.num_rows
        survey.null_positions += int((~positions.present).sum())
        survey.extent.add(positions)
        pixels = sky_index(positions.ra_deg, positions.dec_deg) >> shift(HISTOGRAM_ORDER)
        survey.histogram += np.bincount(pixels, minlength=len(survey.histogram))
        tell(f"checked {survey.rows:,} rows")
    if survey.null_positions and checks.null_positions == "refuse":
        raise CatalogError(
            f"{survey.null_positions:,} of {survey.rows:,} rows have no position "
            f"({description.position.ra}, {description.position.dec}): "
            'checks.null_positions = "drop" leaves them out'
        )
    doubts = survey.extent.doubts(description)
    if doubts and checks.unlikely_units == "refuse":
        raise CatalogError(
            "; ".join(doubts) + '. If the units are right: checks.unlikely_units = "accept"'
        )
    if finder:
        _judge_duplicates(survey, finder.found(), description)
    return survey


def _judge_duplicates(survey: _Survey, found: Duplicates, description: Description) -> None:
    if len(found.rows) and description.checks.duplicate_ids == "refuse":
        raise CatalogError(
            f"{description.catalog.id}: {len(found.rows):,} of {survey.rows:,} rows have the id "
            f"of an earlier row, such as {', '.join(found.examples)}: checks.duplicate_ids = "
            '"drop" keeps the first of each, "keep" all'
        )
    survey.duplicates = found


def _margin_arcsec(description: Description, extent: Extent) -> float:
    """How far beyond its border a shard must know its neighbours' sources."""
    radius = description.catalog.radius_arcsec
    if not description.proper_motion.given:
        return radius
    return radius + extent.fastest_mas_yr / 1000.0 * description.span_years


def _scatter(source: _Input, survey: _Survey, shards: "_Shards", tell: Tell) -> None:
    """Read everything again, and put each row where it belongs."""
    schema: pa.Schema | None = None
    for first, chunk, positions in source.pieces():
        rows = np.arange(first, first + chunk.num_rows)
        kept = positions.present & ~np.isin(rows, survey.duplicates.rows)
        table = _shard_rows(chunk, positions, kept, source.description)
        schema = schema or table.schema
        try:
            shards.add(table.cast(schema))
        except pa.ArrowException as error:
            raise CatalogError(f"rows from {first:,} on: {error}") from error
        tell(f"cut {first + chunk.num_rows:,} of {survey.rows:,} rows")


def _shard_rows(
    chunk: pa.Table, positions: Positions, kept: np.ndarray, description: Description
) -> pa.Table:
    """The rows of a piece that are kept, as they stand in a shard."""
    here = kept[positions.present]
    chunk = chunk.filter(pa.array(kept))
    ra, dec = positions.ra_deg[here], positions.dec_deg[here]
    columns: dict[str, object] = {INDEX: sky_index(ra, dec), "ra_deg": ra, "dec_deg": dec}
    if positions.pm_ra_mas_yr is not None and positions.pm_dec_mas_yr is not None:
        columns["pm_ra_mas_yr"] = positions.pm_ra_mas_yr[here].astype(np.float32)
        columns["pm_dec_mas_yr"] = positions.pm_dec_mas_yr[here].astype(np.float32)
    for name in description.catalog.carried:
        columns[name] = _plain(chunk[name])
    return pa.table(columns)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as it is carried: strings without the blanks that pad them."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return pc.utf8_trim_whitespace(values.cast(pa.string()))
    if pa.types.is_null(values.type):
        return values.cast(pa.string())
    return values


class _Shards:
    """The shards that are being made."""

    def __init__(self, folder: Path, pixels: list[tuple[int, int]], margin_arcsec: float) -> None:
        self._folder = folder
        self._ranges = Ranges(pixels)
        self._margins = Margins(pixels, margin_arcsec)
        self._spill: Spill[Leaf] = Spill(folder / "spill")
        self.schema: pa.Schema | None = None

    def add(self, rows: pa.Table) -> None:
        """Put rows aside for their shard, and for the margins that they lie in."""
        self.schema = rows.schema
        index = rows[INDEX].to_numpy()
        place = self._ranges.find(index)
        order = np.argsort(place, kind="stable")
        sorted_place = place[order]
        for shard in np.unique(place):
            start, end = np.searchsorted(sorted_place, [shard, shard + 1])
            self._put(MAIN, self._ranges.pixels[shard], rows, order[start:end])
        for pixel, inside in self._margins.find(index):
            self._put(MARGIN, pixel, rows, inside)

    def _put(self, part: str, pixel: tuple[int, int], rows: pa.Table, which: np.ndarray) -> None:
        self._spill.append((part, pixel), rows.take(pa.array(which)).combine_chunks())

    def write(
        self, name: str, survey: _Survey, margin_arcsec: float, tell: Tell
    ) -> tuple[int, int]:
        """Write all shards; gives the number of sources and the bytes on disk."""
        leaves = sorted(self._spill.keys_with_rows())
        rows = {MAIN: 0, MARGIN: 0}
        pixels: dict[str, list[tuple[int, int]]] = {MAIN: [], MARGIN: []}
        for number, (part, pixel) in enumerate(leaves):
            rows[part] += write_leaf(self._folder / part, pixel, self._spill.take((part, pixel)))
            pixels[part].append(pixel)
            tell(f"wrote {number + 1:,} of {len(leaves):,} files")
        assert self.schema is not None  # noqa: S101 - set by the scattering
        for part in (MAIN, MARGIN):
            finish_catalog(
                self._folder / part,
                name if part == MAIN else f"{name}_margin",
                pixels[part],
                rows[part],
                self.schema,
                histogram=survey.histogram if part == MAIN else None,
                margin_of=MAIN if part == MARGIN else "",
                margin_arcsec=margin_arcsec,
            )
        finish_collection(self._folder, name)
        for left in ("spill", "ids"):
            _remove_empty(self._folder / left)
        size = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        return rows[MAIN], size


def _remove_empty(folder: Path) -> None:
    if folder.is_dir():
        folder.rmdir()
