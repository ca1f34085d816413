"""Cut a catalogue into HEALPix pixels, and find the margins that its sources lie in."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from finkray.index.pixels import INDEX_ORDER

HISTOGRAM_ORDER: Final = 8
"""Sources are counted in pixels of 14 arcmin; no shard is smaller."""

_MARGIN_STEPS: Final = 7
"""A margin consists of pixels of at least 2^-7 of a shard's width: smaller ones would save no
rows, and be many."""


def shift(order: int) -> int:
    """Return how many bits a pixel number of an order is shorter than `_healpix_29`."""
    return 2 * (INDEX_ORDER - order)


class Ranges:
    """Pixels that do not overlap, each as its range of `_healpix_29`."""

    def __init__(self, pixels: Iterable[tuple[int, int]]) -> None:
        ranges = sorted(
            (pixel << shift(order), (pixel + 1) << shift(order), order, pixel)
            for order, pixel in pixels
        )
        self.pixels = [(order, pixel) for _, _, order, pixel in ranges]
        self._first = np.array([first for first, *_ in ranges], np.int64)
        self._end = np.array([end for _, end, *_ in ranges], np.int64)

    def __len__(self) -> int:
        return len(self.pixels)

    def find(self, index: np.ndarray) -> np.ndarray:
        """Return the position in `pixels` of the pixel of each index; -1 where there is none."""
        if not self.pixels:
            return np.full(len(index), -1)
        number = np.searchsorted(self._first, index, side="right") - 1
        inside = (number >= 0) & (index < self._end[number])
        return np.where(inside, number, -1)


def cut(histogram: np.ndarray, shard_rows: int, margin_arcsec: float) -> list[tuple[int, int]]:
    """Return order and number of the pixels that a catalogue is cut into.

    Parameters
    ----------
    histogram
        sources in each pixel of `HISTOGRAM_ORDER`
    shard_rows
        a pixel with more sources is cut again
    margin_arcsec
        a pixel is never so small that its margin reaches beyond its neighbours
    """
    from hats.pixel_math import generate_alignment

    if not histogram.any():
        return []
    highest = max(0, min(HISTOGRAM_ORDER, _margin_limit(margin_arcsec) - 1))
    # Nothing is cut beyond the order at which no pixel has too many; at order 8 the library takes
    # half a second.
    for order in range(highest + 1):
        coarse = histogram.reshape(12 * 4**order, -1).sum(axis=1)
        if coarse.max() <= shard_rows:
            break
    alignment = generate_alignment(
        coarse, highest_order=order, threshold=max(shard_rows, int(coarse.max()))
    )
    return sorted({(int(entry[0]), int(entry[1])) for entry in alignment if entry is not None})


def empty_sky(pixels: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the largest pixels that cover the sky beside some pixels, in order on the sky.

    `hats.catalog.catalog.compute_negative_tree_pixels` returns the same, and compiles code for four
    seconds of CPU time in each process before.
    """
    ranges = sorted(
        (number << shift(order), (number + 1) << shift(order)) for order, number in pixels
    )
    first = np.array([begin for begin, _ in ranges], np.int64)
    end = np.array([end for _, end in ranges], np.int64)
    out: list[tuple[int, int]] = []
    waiting = [(0, number) for number in reversed(range(12))]
    while waiting:
        order, number = waiting.pop()
        begin, stop = number << shift(order), (number + 1) << shift(order)
        at = int(
            np.searchsorted(end, begin, side="right")
        )  # the first pixel that ends after the range begins
        if at == len(ranges) or first[at] >= stop:
            out.append((order, number))
        elif first[at] > begin or end[at] < stop:  # in part
            waiting += [(order + 1, 4 * number + child) for child in (3, 2, 1, 0)]
    return out


def _margin_limit(margin_arcsec: float) -> int:
    from hats.pixel_math.healpix_shim import margin2order

    return int(margin2order(margin_arcsec / 60.0))


class Margins:
    """Finds the margins that a source lies in: of shards, and of empty sky beside shards.

    The margin of a pixel is the ring of small pixels around it, each wider than the requested
    margin (`hats.pixel_math.get_margin`).
    """

    def __init__(self, pixels: Sequence[tuple[int, int]], margin_arcsec: float) -> None:
        from hats.pixel_math import get_margin

        self.pixels = [*pixels, *(empty_sky(pixels) if pixels else ())]
        highest = max((order for order, _ in self.pixels), default=0)
        self._order = min(_margin_limit(margin_arcsec), highest + _MARGIN_STEPS)
        rings = [
            np.array(get_margin(order, pixel, self._order - order), np.int64)
            for order, pixel in self.pixels
        ]
        small = np.concatenate(rings) if rings else np.empty(0, np.int64)
        owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        by_pixel = np.argsort(small, kind="stable")
        self._small, self._owner = small[by_pixel], owner[by_pixel]

    def find(self, index: np.ndarray) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        """Yield each pixel in whose margin sources lie, and the numbers of these sources.

        Parameters
        ----------
        index
            `_healpix_29` of the sources
        """
        small = index >> shift(self._order)
        first = np.searchsorted(self._small, small, side="left")
        count = np.searchsorted(self._small, small, side="right") - first
        rows = np.repeat(np.arange(len(index)), count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        owners = self._owner[np.repeat(first, count) + within]
        by_owner = np.argsort(owners, kind="stable")
        owners, rows = owners[by_owner], rows[by_owner]
        for owner in np.unique(owners):
            start, end = np.searchsorted(owners, [owner, owner + 1])
            yield self.pixels[owner], rows[start:end]
