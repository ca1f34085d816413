"""One shard in memory: a piece of sky with its margin, sorted by HEALPix index.

A circle on the sky lies within nine pixels of the index, and each of these is a range of rows:
two binary searches find its sources. No tree is built: a shard costs the time to read it, and the
bytes of its columns.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogs.hats_layout import INDEX
from catalogs.motion import carried
from catalogs.partition import shift
from finkray.errors import CatalogUnavailable
from finkray.index.pixels import sky_index


class Shard:
    """The sources of a piece of sky at one time.

    Attributes
    ----------
    columns
        the carried columns of each source; its rows are the shard's rows
    fastest_mas_yr
        the largest proper motion in it
    """

    def __init__(self, table: pa.Table, carry: tuple[str, ...], years: float) -> None:
        ra_rad = np.radians(table["ra_deg"].to_numpy())
        dec_rad = np.radians(table["dec_deg"].to_numpy())
        index = table[INDEX].to_numpy()
        self.fastest_mas_yr = 0.0
        self._motion: tuple[np.ndarray, np.ndarray] | None = None
        if "pm_ra_mas_yr" in table.column_names:
            motion = (table["pm_ra_mas_yr"].to_numpy(), table["pm_dec_mas_yr"].to_numpy())
            if len(index):
                self.fastest_mas_yr = float(np.hypot(*motion).max())
            now = carried(ra_rad, dec_rad, *motion, years)
            index = sky_index(*(np.degrees(angle) for angle in now))
        order = np.argsort(index, kind="stable")
        self._index = index[order]
        self._ra_rad, self._dec_rad = ra_rad[order], dec_rad[order]
        if "pm_ra_mas_yr" in table.column_names:
            self._motion = (motion[0][order], motion[1][order])
        self.columns = table.select(list(carry)).take(pa.array(order)).combine_chunks()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        arrays = [self._index, self._ra_rad, self._dec_rad, *(self._motion or ())]
        return sum(array.nbytes for array in arrays) + int(self.columns.nbytes)

    def near(self, rings: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sources in the pixels around positions.

        Parameters
        ----------
        rings
            from `catalogs.index.around`, for positions in the shard and not in its margin
        order
            of the pixels

        Returns
        -------
        tuple
            number of the position, ascending, and row of the shard
        """
        ring = rings.ravel()
        bits = shift(order)
        first = np.searchsorted(self._index, ring << bits)
        end = np.searchsorted(self._index, (ring + 1) << bits)
        count = np.where(ring >= 0, end - first, 0)
        some = np.flatnonzero(count)
        count, first = count[some], first[some]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(some // 9, count), np.repeat(first, count) + within

    def positions(
        self, rows: np.ndarray, years: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return right ascension and declination of rows in radians, years from the epoch."""
        ra_rad, dec_rad = self._ra_rad[rows], self._dec_rad[rows]
        if self._motion is None or years is None:
            return ra_rad, dec_rad
        return carried(ra_rad, dec_rad, self._motion[0][rows], self._motion[1][rows], years)


def load_shard(leaves: list[Path], carry: tuple[str, ...], years: float) -> Shard:
    """Read a shard: its leaf and that of its margin, if it has them.

    Raises
    ------
    CatalogUnavailable
        A leaf cannot be read.
    """
    tables = []
    for leaf in leaves:
        try:
            tables.append(pq.read_table(leaf, partitioning=None, memory_map=True))
        except (OSError, pa.ArrowException) as error:
            raise CatalogUnavailable(f"{leaf}: cannot be read: {error}") from error
    return Shard(pa.concat_tables(tables), carry, years)
