"""The first pass over a night: where each alert and each object lies on the sky."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogs.nights.inputs import NightInput, place_values
from catalogs.nights.steps import Steps
from catalogs.partition import HISTOGRAM_ORDER, Margins, cut, shift
from finkray import adapter
from finkray.curves.rules import MOVED_ARCSEC
from finkray.index.pixels import sky_index

NO_PLACE: Final = -1
"""The `_healpix_29` of an alert without a position, and the number of the object of one without."""

GROUP_ROWS: Final = 200_000
"""Number of alerts whose few columns are read at a time: some 20 MB."""


@dataclass(frozen=True, slots=True)
class Places:
    """Alerts in the order in which they are read, and objects by place.

    An object lies where its latest alert lies, and all its alerts go to that leaf, else an object
    near a border would lie in two.

    Attributes
    ----------
    alert_place
        `_healpix_29` of each alert
    alert_object
        number of each alert's object
    object_place
        `_healpix_29` of each object, ascending
    object_latest
        the alert that is the latest of each object
    object_alerts
        how many alerts each object has
    """

    alert_place: np.ndarray
    alert_object: np.ndarray
    object_place: np.ndarray
    object_latest: np.ndarray
    object_alerts: np.ndarray

    @property
    def without_position(self) -> int:
        """Number of alerts that are in no catalogue, because they have no position."""
        return int((self.alert_place == NO_PLACE).sum())

    def alert_pixels(self, leaf_rows: int, margin_arcsec: float) -> list[tuple[int, int]]:
        """Return the pixels of the leaves of alerts."""
        counts = _histogram(self.alert_place[self.alert_place != NO_PLACE])
        return cut(counts, leaf_rows, margin_arcsec)

    def object_pixels(self, leaf_rows: int, margin_arcsec: float) -> list[tuple[int, int]]:
        """Return the pixels of the leaves of objects, which are cut by the number of alerts."""
        counts = _histogram(self.object_place, self.object_alerts)
        return cut(counts, leaf_rows, margin_arcsec)

    def objects_beside(self, pixels: list[tuple[int, int]]) -> dict[tuple[int, int], np.ndarray]:
        """Return the numbers of the objects in other pixels to which points may have moved.

        Parameters
        ----------
        pixels
            of the leaves of objects

        Returns
        -------
        dict
            by pixel; one without such objects is left out
        """
        margins = Margins(pixels, MOVED_ARCSEC)
        leaves = set(pixels)
        return {pixel: found for pixel, found in margins.find(self.object_place) if pixel in leaves}


def find_places(night: NightInput, steps: Steps) -> Places:
    """Read id, position and time of all alerts of a night."""
    columns = adapter.columns("detection")
    places, times, ids = [np.empty(0, np.int64)], [np.empty(0)], [pa.array([], pa.string())]
    rows = 0
    for group in night.groups(GROUP_ROWS, GROUP_ROWS * 1_000_000):
        object_ids, ra_deg, dec_deg, time = place_values(night.read(group, columns))
        there = ~np.isnan(ra_deg)
        place = np.full(len(time), NO_PLACE)
        place[there] = sky_index(ra_deg[there], dec_deg[there])
        places.append(place)
        times.append(time)
        ids.append(object_ids)
        rows += len(time)
        steps.tell(f"found the places of {rows:,} alerts")
        steps.go_on()
    return _number(np.concatenate(places), np.concatenate(times), pa.concat_arrays(ids))


def _number(place: np.ndarray, time: np.ndarray, ids: pa.Array) -> Places:
    """Number the objects by their place."""
    codes = pc.fill_null(ids.dictionary_encode().indices, NO_PLACE).to_numpy()
    known = np.flatnonzero((codes != NO_PLACE) & (place != NO_PLACE))
    # Sorted by object, then by time; of equal times the later one in the archive counts.
    order = known[np.lexsort((known, time[known], codes[known]))]
    last = np.ones(len(order), bool)
    last[:-1] = codes[order][1:] != codes[order][:-1]
    latest = order[last]
    by_place = np.lexsort((latest, place[latest]))
    latest = latest[by_place]
    number_of_code = np.full(codes.max(initial=NO_PLACE) + 2, NO_PLACE)
    number_of_code[codes[latest]] = np.arange(len(latest))
    # The last entry stands for alerts without an object, whose code is -1.
    objects = number_of_code[codes]
    counts = np.bincount(objects[objects != NO_PLACE], minlength=len(latest))
    return Places(place, objects, place[latest], latest, counts)


def _histogram(place: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    pixels = place >> shift(HISTOGRAM_ORDER)
    counts = np.bincount(pixels, weights, minlength=12 * 4**HISTOGRAM_ORDER)
    return counts.astype(np.int64)
