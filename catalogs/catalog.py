"""An open catalogue: one version, whose shards are read when alerts lie in them."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogs.description import Description
from catalogs.hats_layout import MAIN, MARGIN, leaf_path, read_pixels
from catalogs.index import ring_order
from catalogs.memory import ShardMemory
from catalogs.motion import julian_year
from catalogs.partition import Ranges
from catalogs.shard import Shard, load_shard
from catalogs.store import Built, CatalogStore
from finkray.errors import CatalogError, CatalogUnavailable

PERIOD_YEARS: Final = 1.0
"""Length of a period: a shard of moving sources is sorted again for each."""


class Catalog:
    """One version of a catalogue. It never changes; `Catalogs.current` opens it."""

    def __init__(
        self, folder: Path, description: Description, built: Built, memory: ShardMemory
    ) -> None:
        self.name = description.catalog.name
        self.version = description.catalog.version
        self.radius_arcsec = description.catalog.radius_arcsec
        self.moves = description.proper_motion.given
        self.types = description.types
        self.rows = built.rows
        self._description = description
        self._folder = folder
        self._memory = memory
        self._key = str(folder)
        main, margin = (read_pixels(folder / name) for name in (MAIN, MARGIN))
        self._pixels = {MAIN: set(main), MARGIN: set(margin)}
        self._ranges = Ranges({*main, *margin})
        schema = pq.read_schema(folder / MAIN / "dataset" / "_common_metadata")
        self.source_fields = [
            pa.field("ra_deg", pa.float64()),
            pa.field("dec_deg", pa.float64()),
            *(pa.field(name, schema.field(name).type) for name in description.catalog.carried),
        ]

    def shards_of(self, index: np.ndarray) -> np.ndarray:
        """Return the number of the shard that each position lies in; -1 where no source is near.

        Parameters
        ----------
        index
            `_healpix_29` of positions
        """
        return self._ranges.find(index)

    def years(self, mjd: np.ndarray) -> np.ndarray:
        """Return the years from the catalogue's epoch to a time."""
        return julian_year(mjd) - self._description.position.epoch_year

    def reaches(self, years: np.ndarray) -> np.ndarray:
        """Return whether the margins are wide enough for sources that moved for these years."""
        return np.abs(years) <= self._description.span_years

    def periods(self, years: np.ndarray) -> np.ndarray:
        """Return the number of the period that each time lies in."""
        return np.floor(years / PERIOD_YEARS).astype(np.int64)

    def shard(self, number: int, period: int = 0) -> Shard:
        """Return a shard with its sources where they are in the middle of a period.

        Raises
        ------
        CatalogUnavailable
            The shard cannot be read.
        """
        return self._memory.get((self._key, (number, period)), lambda: self._load(number, period))

    def _load(self, number: int, period: int) -> Shard:
        pixel = self._ranges.pixels[number]
        years = (period + 0.5) * PERIOD_YEARS if self.moves else 0.0
        names = [name for name in (MAIN, MARGIN) if pixel in self._pixels[name]]
        leaves = [leaf_path(self._folder / name, pixel) for name in names]
        return load_shard(leaves, self._description.catalog.carried, years)

    def search_order(self, shard: Shard) -> int:
        """Return the order of the pixels in which a shard is searched without missing a source.

        A ring of pixels covers the radius, the motion of the fastest source of the shard until
        either end of the period, and a thousandth more for a source at the very edge.
        """
        moved = shard.fastest_mas_yr / 1000.0 * PERIOD_YEARS / 2 if self.moves else 0.0
        return ring_order((self.radius_arcsec + moved) * 1.001)


class Catalogs:
    """The catalogues of a folder, opened by one process.

    Parameters
    ----------
    folder
        where `finkray catalog` builds them
    memory_bytes
        limit of all shards in memory together
    """

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        self.store = CatalogStore(folder)
        self.memory = ShardMemory(memory_bytes)
        self._open: dict[str, Catalog] = {}

    def in_use(self) -> list[str]:
        """Return the names of the catalogues that have a version in use."""
        return [name for name in self.store.names() if self._has_version(name)]

    def _has_version(self, name: str) -> bool:
        try:
            return self.store.current(name) is not None
        except CatalogError:
            # A catalogue that cannot be read counts as used: its alerts are not checked.
            return True

    def current(self, name: str) -> Catalog:
        """Return the version in use; call it before each batch.

        Raises
        ------
        CatalogError
            There is no such catalogue, or none of its versions is built.
        CatalogUnavailable
            The folder of the version cannot be read.
        """
        version = self.store.current(name)
        if version is None:
            self.store.description(name)
            raise CatalogError(f"{name} is not built yet: finkray catalog build {name}")
        known = self._open.get(name)
        if known is not None and known.version == version:
            return known
        folder = self.store.version_folder(name, version)
        description, built = self.store.built(name, version)
        try:
            catalog = Catalog(folder, description, built, self.memory)
        except (OSError, pa.ArrowException) as error:
            raise CatalogUnavailable(f"{folder}: cannot be read: {error}") from error
        if known is not None:
            self.memory.forget(str(self.store.version_folder(name, known.version)))
        self._open[name] = catalog
        return catalog
