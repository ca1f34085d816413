"""Strange objects: kinds that fit no class, to measure how well a detector of outliers finds them.

Without a wish for them a sky has `Kind.STRANGE` alone. With one, all of `STRANGE_KINDS` share the
wanted percentage of the alerts equally. Where each can be seen is in `STRANGE_KINDS`.

kind       in the packet                                  numbers in `Population`
HOSTLESS   bright, several detections, no source near it  an eruption
DEEP_DIP   bright star, only limits, then far below       depth `amplitudes_mag`, half width
           the reference image                            `rise_days`
FAST_BLUE  the bluest colour there is, and never twice    an eruption
DRIFTER    detections a drift of 0.5 to 1.5 arcsec a day  constant light for `shape` days
           apart, no known body
JUMP       4 mag and more above the last limit            an eruption that rises at once
           in the curve alone
STRANGE    steps, each half as long as the last           cycle `periods_days`
TWO_PEAKS  a second peak, after a month or two            `periods_days` later, `shape` times
CHIRP      a wave, faster and faster                      cycle `periods_days`, first period
                                                          `rise_days`, last `shape` times shorter
RUNAWAY    a rise, faster and faster; then nothing        scale `rise_days` to the end `onset_jd`

Curves of three months of ZTF seldom have all of it: second peaks of three in ten TWO_PEAKS, and
the end of as many RUNAWAYs. The change of a CHIRP is not to be seen with a visit every three nights
in a band: a classifier that learns from labels does not tell it from the same curve played
backwards (AUC 0.53), and finds it by its period, which no ordinary kind has.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sim.sky.geometry import Floats
from sim.sky.kinds import ALERTS_SHARE, KINDS, LASTING, STRANGE_KINDS, Kind
from sim.sky.population import Population, count, flux_of

STRANGE_SEEN_SHARE: Final[Mapping[Kind, float]] = {
    Kind.HOSTLESS: 0.26,
    Kind.DEEP_DIP: 0.05,
    Kind.FAST_BLUE: 0.0052,
    Kind.DRIFTER: 0.08,
    Kind.JUMP: 0.19,
    Kind.TWO_PEAKS: 0.18,
    Kind.CHIRP: 0.96,
    Kind.RUNAWAY: 0.53,
}
"""Share of these objects that an exposure of either survey detects (counted)."""

_BLUEST_GR_MAG = -0.55
"""The colour g-r of the long-wave end of a black body: no thermal source is bluer."""


def lasting_counts(
    rng: np.random.Generator,
    alerts_per_visit: int,
    seen_share: Mapping[Kind, float],
    strange_percent: float,
) -> dict[Kind, int]:
    """Return how many lasting objects of each kind a field needs.

    Parameters
    ----------
    rng
        Generator, used for strange kinds: their numbers are small, and right on average only.
    alerts_per_visit
        Approximate number of alerts of a visit.
    seen_share
        Share of the objects of each kind that an exposure detects.
    strange_percent
        Percentage of the alerts that are of strange kinds, all together; 0 leaves
        `Kind.STRANGE` alone, with its usual share.
    """
    ordinary = [kind for kind in LASTING if kind in ALERTS_SHARE]
    if not strange_percent:
        return {kind: count(kind, alerts_per_visit, seen_share[kind]) for kind in ordinary}
    counts: dict[Kind, int] = {
        kind: count(kind, alerts_per_visit, seen_share[kind])
        for kind in ordinary
        if kind not in STRANGE_KINDS
    }
    for kind, wanted in _wanted(alerts_per_visit, seen_share, strange_percent).items():
        counts[kind] = int(wanted) + int(rng.random() < wanted % 1)
    return counts


def most_lasting(
    alerts_per_visit: int, seen_share: Mapping[Kind, float], strange_percent: float
) -> int:
    """Return how many objects `lasting_counts` gives at most, the same for every generator."""
    rng = np.random.default_rng(0)
    counts = lasting_counts(rng, alerts_per_visit, seen_share, strange_percent)
    if strange_percent:
        wanted = _wanted(alerts_per_visit, seen_share, strange_percent)
        counts |= {kind: int(objects) + 1 for kind, objects in wanted.items()}
    return sum(counts.values())


def _wanted(
    alerts_per_visit: int, seen_share: Mapping[Kind, float], strange_percent: float
) -> dict[Kind, float]:
    """Return how many objects of each strange kind there should be on average."""
    alerts_of_each = alerts_per_visit * strange_percent / 100 / len(STRANGE_KINDS)
    return {kind: alerts_of_each / seen_share[kind] for kind in STRANGE_KINDS}


def with_strange(
    rng: np.random.Generator, population: Population, *, deeper_mag: float = 0.0
) -> Population:
    """Give the strange objects their properties, and all objects a random order.

    The order matters because serials, and with them names and numbers of detections, follow it:
    strange objects must not be the last ones of each list.

    Parameters
    ----------
    rng
        Generator of the properties.
    population
        Lasting objects, whose strange ones have the properties of any star or galaxy.
    deeper_mag
        Magnitudes by which all are fainter than in ZTF.
    """
    size = len(population)
    order = rng.permutation(size)
    mixed = population.take(order)
    mixed = replace(mixed, serial=population.serial)
    drawn = _Drawn(rng, size)
    columns: dict[str, Any] = {name: np.array(getattr(mixed, name)) for name in _CHANGED}
    for kind, change in _CHANGES.items():
        here = mixed.kind == KINDS.index(kind)
        for name, values in change(drawn, deeper_mag).items():
            columns[name][here] = values[here]
    return replace(mixed, **columns)


class _Drawn:
    """Random numbers, one for each object."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self._rng = rng
        self._size = size

    def between(self, least: float, most: float) -> Floats:
        return self._rng.uniform(least, most, self._size)

    def waves(self, least: float, most: float) -> Floats:
        """Return the same number for each wave of an object: only the first one counts."""
        return np.repeat(self.between(least, most)[:, np.newaxis], 4, axis=1)

    def bands(self, red: Floats, green_less_red: Floats | float) -> Floats:
        """Return values in g and r."""
        return np.stack([red + green_less_red, red], axis=1)

    def erupts(self, mag: Floats, gr_mag: float = 0.0) -> Floats:
        """Return the flux of an eruption in g and r."""
        return flux_of(self.bands(mag, gr_mag))

    def far_source(self) -> dict[str, Floats]:
        """Return a nearest reference source that has nothing to do with the object."""
        apart, angle = self.between(8, 25), self.between(0, 2 * np.pi)
        return {
            "reference_mag_gr": self.bands(self.between(19, 22), self.between(0.2, 1.3)),
            "host_east_arcsec": apart * np.cos(angle),
            "host_north_arcsec": apart * np.sin(angle),
        }

    def beside_galaxy(self) -> dict[str, Floats]:
        apart, angle = self._rng.rayleigh(2.0, self._size), self.between(0, 2 * np.pi)
        return {
            "host_east_arcsec": apart * np.cos(angle),
            "host_north_arcsec": apart * np.sin(angle),
        }

    def star(self, brightest: float, faintest: float) -> dict[str, Floats]:
        red = self.between(brightest, faintest)
        return {"reference_mag_gr": self.bands(red, self.between(0.2, 1.3))}


def _hostless(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    fall = draw.between(25, 60)
    return {
        **draw.far_source(),
        "eruption_flux_gr": draw.erupts(draw.between(14.6, 16.0) + deeper),
        "rise_days": draw.between(2, 5),
        "fall_days_gr": draw.bands(fall, -0.3 * fall),
    }


def _deep_dip(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    return {
        **draw.star(13.5 + deeper, 16.0 + deeper),
        "rise_days": draw.between(3, 9),
        "amplitudes_mag": draw.waves(0.8, 2.5),
    }


def _fast_blue(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    fall = draw.between(0.4, 0.55)
    return {
        **draw.beside_galaxy(),
        "eruption_flux_gr": draw.erupts(draw.between(15.3, 17.0) + deeper, _BLUEST_GR_MAG),
        "rise_days": draw.between(0.15, 0.3),
        "fall_days_gr": draw.bands(fall, 0.0),
    }


def _drifter(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    speed, angle = draw.between(0.5, 1.5), draw.between(0, 2 * np.pi)
    return {
        **draw.far_source(),
        "eruption_flux_gr": draw.erupts(draw.between(16.8, 18.8) + deeper, 0.5),
        "shape": draw.between(20, 35),
        "drift_east_arcsec_per_day": speed * np.cos(angle),
        "drift_north_arcsec_per_day": speed * np.sin(angle),
    }


def _jump(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    fall = draw.between(8, 20)
    return {
        **draw.star(20.0 + deeper, 21.5 + deeper),
        "eruption_flux_gr": draw.erupts(draw.between(13.8, 15.6) + deeper),
        "rise_days": draw.between(0.01, 0.03),
        "fall_days_gr": draw.bands(fall, 0.0),
    }


def _two_peaks(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    fall = draw.between(9, 14)
    return {
        **draw.beside_galaxy(),
        "eruption_flux_gr": 1.6 * draw.erupts(draw.between(16.6, 18.6) + deeper),
        "rise_days": draw.between(4, 8),
        "fall_days_gr": draw.bands(fall, 0.0),
        "periods_days": draw.waves(30, 50),
        "shape": draw.between(0.7, 1.2),
    }


def _chirp(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    return {
        **draw.star(15.0 + deeper, 17.5 + deeper),
        "periods_days": draw.waves(90, 160),
        "rise_days": draw.between(20, 35),
        "shape": draw.between(4, 7),
        "amplitudes_mag": draw.waves(0.4, 0.9),
    }


def _runaway(draw: _Drawn, deeper: float) -> dict[str, Floats]:
    return {
        **draw.star(19.5 + deeper, 21.0 + deeper),
        "eruption_flux_gr": draw.erupts(draw.between(14.2, 15.6) + deeper),
        "rise_days": draw.between(0.7, 1.6),
    }


_CHANGES: Mapping[Kind, Any] = {
    Kind.HOSTLESS: _hostless,
    Kind.DEEP_DIP: _deep_dip,
    Kind.FAST_BLUE: _fast_blue,
    Kind.DRIFTER: _drifter,
    Kind.JUMP: _jump,
    Kind.TWO_PEAKS: _two_peaks,
    Kind.CHIRP: _chirp,
    Kind.RUNAWAY: _runaway,
}
_CHANGED = (
    "reference_mag_gr",
    "host_east_arcsec",
    "host_north_arcsec",
    "eruption_flux_gr",
    "rise_days",
    "fall_days_gr",
    "periods_days",
    "amplitudes_mag",
    "shape",
    "drift_east_arcsec_per_day",
    "drift_north_arcsec_per_day",
)
