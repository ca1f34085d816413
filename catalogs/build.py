"""Build a catalogue: read its files once to count and to check, once more to cut them into shards.

1. Each piece is read; positions become degrees; what cannot be right is refused or counted.
2. The counts by HEALPix pixel decide how the sky is cut; duplicate ids are found.
3. Each piece is read again; its rows are put aside by shard, and by the shards in whose margin they
   lie.
4. Each shard is sorted and written, with the metadata of HATS beside them.
5. The folder gets the name of its version, and the version becomes the one in use.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

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
from catalogs.partition import HISTOGRAM_ORDER, Margins, Ranges, cut, shift
from catalogs.positions import Extent, Placeholders, Positions, Reader
from catalogs.sources import open_source
from catalogs.spill import Spill
from catalogs.store import Built, CatalogStore
from finkray.errors import CatalogError
from finkray.index.pixels import sky_index

Tell = Callable[[str], None]
"""Reports progress."""

Leaf = tuple[str, tuple[int, int]]


def build(store: CatalogStore, description: Description, tell: Tell = lambda _: None) -> Built:
    """Build the version that a description describes, and use it from now on.

    Parameters
    ----------
    tell
        is called with a line of progress

    Raises
    ------
    CatalogError
        Wrong units, missing columns, duplicate ids, sources without a position, a damaged file:
        the message names file and column and says what to do. Nothing is left behind.
    """
    try:
        return _build(store, description, tell)
    except CatalogError:
        raise
    except OSError as error:
        raise CatalogError(f"{description.catalog.name} cannot be built: {error}") from error
    except Exception as error:
        raise CatalogError(
            f"{description.catalog.name} cannot be built from {description.source.path}: "
            f"{type(error).__name__}: {error}. Write the columns "
            f"{', '.join(description.wanted)} to a plain Parquet file and build from that"
        ) from error


def _build(store: CatalogStore, description: Description, tell: Tell) -> Built:
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
    """The files of a catalogue with the positions in them."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._source = open_source(description)
        self._reader = Reader(description)
        self.epoch_column = self._source.epoch_column

    def pieces(self) -> Iterator[tuple[int, pa.Table, Positions]]:
        """Yield the number of the first row, a piece, and its positions; once at least."""
        first = 0
        self._reader.placeholders = Placeholders()
        for chunk in self._source.pieces():
            yield first, chunk, self._reader.read(chunk)
            first += chunk.num_rows
        if not first:
            types = self._source.types
            chunk = pa.schema(list(types.items())).empty_table()
            yield 0, chunk, self._reader.read(chunk)

    def placeholders(self) -> list[str]:
        """Return sentences about placeholders in the rows that were read last."""
        return self._reader.placeholders.found(self.description)


@dataclass
class _Survey:
    """Findings of the first reading."""

    rows: int = 0
    null_positions: int = 0
    extent: Extent = field(default_factory=Extent)
    histogram: np.ndarray = field(
        default_factory=lambda: np.zeros(12 * 4**HISTOGRAM_ORDER, np.int64)
    )
    duplicates: Duplicates = field(default_factory=lambda: Duplicates(np.empty(0, np.int64), ()))


def _survey(source: _Input, ids: Path, tell: Tell) -> _Survey:
    """Read all rows once, and check them.

    Raises
    ------
    CatalogError
        Something is found that the description does not allow.
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
        if source.epoch_column:
            survey.extent.add_epochs(source.epoch_column, chunk[source.epoch_column])
        pixels = sky_index(positions.ra_deg, positions.dec_deg) >> shift(HISTOGRAM_ORDER)
        survey.histogram += np.bincount(pixels, minlength=len(survey.histogram))
        tell(f"checked {survey.rows:,} rows")
    _check_survey(survey, source)
    if finder:
        _judge_duplicates(survey, finder.found(), description)
    return survey


def _check_survey(survey: _Survey, source: _Input) -> None:
    description, checks = source.description, source.description.checks
    place = description.position
    if description.source.rows not in (0, survey.rows):
        raise CatalogError(
            f"{description.source.path}: has {survey.rows:,} rows, source.rows says "
            f"{description.source.rows:,}: fetch it again, or correct the description"
        )
    found = source.placeholders()
    if found and checks.placeholder_positions == "refuse":
        raise CatalogError(
            f"{description.source.path}: {'; '.join(found)}: values that stand for a missing one. "
            'checks.placeholder_positions = "drop" takes them as missing, "keep" as they are'
        )
    dropped = checks.placeholder_positions == "drop" and found
    if survey.null_positions and checks.null_positions == "refuse" and not dropped:
        raise CatalogError(
            f"{survey.null_positions:,} of {survey.rows:,} rows have no position "
            f'({place.ra}, {place.dec}): checks.null_positions = "drop" leaves them out'
        )
    wrong_epoch = survey.extent.epoch_contradiction(source.epoch_column, description)
    if wrong_epoch and source.epoch_column and checks.declarations == "refuse":
        raise CatalogError(
            f"{description.source.path}: {wrong_epoch}. Correct the description; if the file is "
            'wrong, checks.declarations = "ignore" takes the description\'s word'
        )
    doubts = survey.extent.doubts(description)
    if doubts and checks.unlikely_units == "refuse":
        raise CatalogError(
            f"{description.source.path}: {'; '.join(doubts)}. If the units are right: "
            'checks.unlikely_units = "accept"'
        )


def _judge_duplicates(survey: _Survey, found: Duplicates, description: Description) -> None:
    if len(found.rows) and description.checks.duplicate_ids == "refuse":
        raise CatalogError(
            f"{description.catalog.id}: {len(found.rows):,} of {survey.rows:,} rows have the id "
            f"of an earlier row, such as {', '.join(found.examples)}: checks.duplicate_ids = "
            '"drop" keeps the first of each, "keep" all'
        )
    survey.duplicates = found


def _margin_arcsec(description: Description, extent: Extent) -> float:
    """Return how far beyond its border a shard holds its neighbours' sources."""
    radius = description.catalog.radius_arcsec
    if not description.proper_motion.given:
        return radius
    return radius + extent.fastest_mas_yr / 1000.0 * description.span_years


def _scatter(source: _Input, survey: _Survey, shards: "_Shards", tell: Tell) -> None:
    """Read all rows again, and put each where it belongs."""
    end = 0
    for first, chunk, positions in source.pieces():
        end = first + chunk.num_rows
        rows = np.arange(first, end)
        kept = positions.present & ~np.isin(rows, survey.duplicates.rows)
        shards.add(_shard_rows(chunk, positions, kept, source.description))
        tell(f"cut {end:,} of {survey.rows:,} rows")
    if end != survey.rows:
        raise CatalogError(
            f"{source.description.source.path}: had {survey.rows:,} rows when it was checked and "
            f"{end:,} when it was cut: build again when nothing writes to it"
        )


def _shard_rows(
    chunk: pa.Table, positions: Positions, kept: np.ndarray, description: Description
) -> pa.Table:
    """Return the rows of a piece that are kept, with the columns of a shard."""
    here = kept[positions.present]
    chunk = chunk.filter(pa.array(kept))
    ra, dec = positions.ra_deg[here], positions.dec_deg[here]
    columns: dict[str, object] = {INDEX: sky_index(ra, dec), "ra_deg": ra, "dec_deg": dec}
    if positions.pm_ra_mas_yr is not None and positions.pm_dec_mas_yr is not None:
        columns["pm_ra_mas_yr"] = positions.pm_ra_mas_yr[here].astype(np.float32)
        columns["pm_dec_mas_yr"] = positions.pm_dec_mas_yr[here].astype(np.float32)
    for name in description.catalog.carried:
        columns[name] = chunk[name]
    return pa.table(columns)


class _Shards:
    """The shards of a build."""

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
        shards = self._ranges.find(index)
        order = np.argsort(shards, kind="stable")
        in_order = shards[order]
        for shard in np.unique(shards):
            start, end = np.searchsorted(in_order, [shard, shard + 1])
            self._put(MAIN, self._ranges.pixels[shard], rows, order[start:end])
        for pixel, inside in self._margins.find(index):
            self._put(MARGIN, pixel, rows, inside)

    def _put(self, folder: str, pixel: tuple[int, int], rows: pa.Table, which: np.ndarray) -> None:
        self._spill.append((folder, pixel), rows.take(pa.array(which)).combine_chunks())

    def write(
        self, name: str, survey: _Survey, margin_arcsec: float, tell: Tell
    ) -> tuple[int, int]:
        """Write all shards; return the number of sources and the bytes on disk."""
        leaves = sorted(self._spill.keys_with_rows())
        rows = {MAIN: 0, MARGIN: 0}
        pixels: dict[str, list[tuple[int, int]]] = {MAIN: [], MARGIN: []}
        for number, (folder, pixel) in enumerate(leaves):
            leaf = self._spill.take((folder, pixel))
            rows[folder] += write_leaf(self._folder / folder, pixel, leaf)
            pixels[folder].append(pixel)
            tell(f"wrote {number + 1:,} of {len(leaves):,} files")
        assert self.schema is not None  # noqa: S101 - set by the scattering
        for folder in (MAIN, MARGIN):
            finish_catalog(
                self._folder / folder,
                name if folder == MAIN else f"{name}_margin",
                pixels[folder],
                rows[folder],
                self.schema,
                histogram=survey.histogram if folder == MAIN else None,
                margin_of=MAIN if folder == MARGIN else "",
                margin_arcsec=margin_arcsec,
            )
        finish_collection(self._folder, name)
        for emptied in ("spill", "ids"):
            _remove_empty(self._folder / emptied)
        size = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        return rows[MAIN], size


def _remove_empty(folder: Path) -> None:
    if folder.is_dir():
        folder.rmdir()
