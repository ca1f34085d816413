"""Scale-free features of light curves, one band at a time, vectorised over many curves. Pure.

Curves lie one after the other in flat arrays: curve k is `days[offsets[k]:offsets[k + 1]]`, sorted
by time, with its fluxes and errors. None of the features changes if all fluxes and errors of a
curve are multiplied by the same number, or if its times are shifted or stretched, and none divides
by a mean: fluxes of differences are negative as often as positive.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats
from finkray.outliers.feature import Feature

LEAST_POINTS: Final = 6
"""Curves with fewer points have no features."""

_HALF, _TENTH = 0.5, 0.1

_STEP: Final = 2.0**-30
"""Fluxes are whole numbers of this step, the range of a curve being 1: sums that run on over the
curves of a batch are exact, so what a curve gets does not depend on those before it."""

_SHALLOW: Final = 0.05
"""Dips of a twentieth of the range are as good as none, where dips are compared."""

_LEAST_ERROR_SHARE: Final = 0.02
"""Errors are at least this share of a flux: those of bright sources are not known better."""

CURVE_FEATURES: Final = (
    Feature("chi2", "", "reduced chi2 of constant brightness", "log10"),
    Feature("skew", "", "skewness of the fluxes"),
    Feature("kurtosis", "", "kurtosis of the fluxes (3 of a Gaussian)", "log1p"),
    Feature("stetson_k", "", "Stetson K (0.8 of a Gaussian, 1 of two levels)"),
    Feature("beyond_1", "", "share of fluxes farther from the mean than the scatter"),
    Feature("negative_share", "", "share of negative fluxes"),
    Feature("eta", "", "mean square of steps by the variance (2 of noise, 0 of a slow change)"),
    Feature("eta_late", "", "the same of the second half by the first", "log10"),
    Feature("turns", "", "share of points that are a maximum or a minimum beyond the noise"),
    Feature("crossings", "", "share of steps across the middle of the range"),
    Feature("crossings_late", "", "crossings in the second half less those in the first"),
    Feature("flat_share", "", "share of steps within the noise"),
    Feature("largest_step", "", "largest step by the range"),
    Feature("largest_gap", "", "largest gap between neighbouring fluxes by the range"),
    Feature("two_levels", "", "scatter about the best two levels by the whole scatter", "log10"),
    Feature("above_half", "", "share of fluxes above the middle of the range"),
    Feature("above_tenth", "", "share of fluxes above a tenth of the range"),
    Feature("trend", "", "correlation of flux and time (-1 to 1)"),
    Feature("curvature", "", "share of the scatter that a parabola explains beyond a line"),
    Feature("cusum", "", "range of the cumulative sum of deviations"),
    Feature("when_highest", "", "when the highest flux was (0 first, 1 last)"),
    Feature("when_lowest", "", "when the lowest flux was (0 first, 1 last)"),
    Feature("median_place", "", "median flux between the lowest (0) and the highest (1)"),
    Feature("half_range", "", "range of the middle half of the fluxes by the range"),
    Feature("late_scatter", "", "scatter of the second half by that of the first", "log10"),
    Feature("dip_between", "", "depth of the deepest dip between two maxima by the range"),
    Feature("sole_dip", "", "that depth times its share of the depths of all dips"),
    Feature("other_dips", "", "depths of all other dips by that of the deepest", "log10"),
    Feature("step_skew", "", "skewness of the steps (sudden rise: > 0, sudden fall: < 0)"),
    Feature("acceleration", "", "steps that are steeper than the one before, less those flatter"),
)  # fmt: skip
"""The features, in the order of the columns."""


@dataclass(frozen=True)
class _Curves:
    """Points of curves with at least `LEAST_POINTS`; `curve` is the number of the curve of each."""

    curve: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    when: Floats
    flux: Floats
    error: Floats

    def sum(self, values: Floats) -> Floats:
        # bincount adds one after the other: a curve's sum does not depend on its neighbours.
        return np.bincount(self.curve, weights=values, minlength=len(self.counts))

    def mean(self, values: Floats) -> Floats:
        return self.sum(values) / self.counts

    def largest(self, values: Floats) -> Floats:
        return np.maximum.reduceat(values, self.starts)

    def smallest(self, values: Floats) -> Floats:
        return np.minimum.reduceat(values, self.starts)

    def spread(self, of_curves: Floats) -> Floats:
        """Return the value of its curve for each point."""
        return of_curves[self.curve]

    @cached_property
    def inner(self) -> np.ndarray:
        """Points that are not the first of their curve: a step leads to each of them."""
        first = np.zeros(len(self.curve), bool)
        first[self.starts] = True
        return ~first

    @cached_property
    def ordered(self) -> Floats:
        """The fluxes of each curve from the lowest to the highest, one curve after the other."""
        # Curves are kept apart by whole numbers; fluxes in whole steps lose nothing by them.
        return np.sort(self.flux + 2.0 * self.curve) - 2.0 * self.curve

    @cached_property
    def off(self) -> Floats:
        """The fluxes less the mean of their curve."""
        return self.flux - self.spread(self.mean(self.flux))


def curve_features(days: Floats, flux: Floats, error: Floats, offsets: np.ndarray) -> Floats:
    """Return the features of curves.

    Parameters
    ----------
    days, flux, error
        points of all curves, one curve after the other, each sorted by time; points that are not
        finite, or without an error above 0, are left out
    offsets
        where curves begin, and where the last one ends: shape (curves + 1)

    Returns
    -------
    ndarray
        float64 of shape (curves, 30), in the order of `CURVE_FEATURES`; NaN in the whole row of a
        curve with fewer than `LEAST_POINTS` points, or whose times or fluxes are all the same
    """
    out = np.full((len(offsets) - 1, len(CURVE_FEATURES)), np.nan)
    whose = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    good = np.isfinite(days) & np.isfinite(flux) & (error > 0) & np.isfinite(error)
    days, flux, error = days[good], flux[good], error[good]
    points = np.bincount(whose[good], minlength=len(out))
    numbers = np.flatnonzero(points)
    counts = points[numbers]
    lowest, highest = _ends(flux, counts)
    first, last = _ends(days, counts)
    enough = (counts >= LEAST_POINTS) & (highest > lowest) & (last > first)
    if not enough.any():
        return out
    keep = np.repeat(enough, counts)
    days, flux, error = days[keep], flux[keep], error[keep]
    kept = counts[enough]
    scale = np.repeat((highest - lowest)[enough], kept)
    curves = _Curves(
        curve=np.repeat(np.arange(len(kept)), kept),
        starts=np.cumsum(kept) - kept,
        counts=kept.astype(np.float64),
        when=(days - np.repeat(first[enough], kept)) / np.repeat((last - first)[enough], kept),
        # 0 is the lowest and 1 the highest flux of a curve.
        flux=_in_steps((flux - np.repeat(lowest[enough], kept)) / scale),
        error=np.maximum(error, _LEAST_ERROR_SHARE * np.abs(flux)) / scale,
    )
    negative = curves.mean((flux < 0).astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [
            *_distribution(curves, negative),
            *_steps(curves),
            *_levels(curves),
            *_course(curves),
            *_shape(curves),
        ]
    values = np.stack(columns, axis=1)
    out[numbers[enough]] = np.where(np.isfinite(values), values, np.nan)
    return out


def _in_steps(values: Floats) -> Floats:
    return np.round(values / _STEP) * _STEP


def _distribution(curves: _Curves, negative: Floats) -> list[Floats]:
    weight = 1.0 / curves.error**2
    weighted = curves.sum(weight * curves.flux) / curves.sum(weight)
    pull = (curves.flux - curves.spread(weighted)) / curves.error
    chi2 = curves.sum(pull**2) / (curves.counts - 1)
    off = curves.off
    variance = curves.mean(off**2)
    scaled = off / np.sqrt(curves.spread(variance))
    stetson = curves.mean(np.abs(pull)) / np.sqrt(curves.mean(pull**2))
    return [
        np.log10(np.maximum(chi2, 1e-4)),
        curves.mean(scaled**3),
        np.log1p(curves.mean(scaled**4)),
        stetson,
        curves.mean((np.abs(scaled) > 1).astype(np.float64)),
        negative,
    ]


def _steps(curves: _Curves) -> list[Floats]:
    """Return eta and its change, turns, crossings and theirs, flat share, largest step."""
    inner = curves.inner
    step = np.where(inner, np.diff(curves.flux, prepend=0.0), 0.0)
    noise = np.where(inner, np.hypot(curves.error, np.roll(curves.error, 1)), np.inf)
    off = curves.off
    steps = curves.counts - 1
    late = curves.when > 0.5
    middle = curves.flux - 0.5
    crossed = inner & (middle * np.roll(middle, 1) < 0)
    first_steps = np.maximum(curves.sum((inner & ~late).astype(float)), 1)
    late_steps = np.maximum(curves.sum((inner & late).astype(float)), 1)
    square = step**2
    eta_first = curves.sum(square * ~late) / first_steps
    eta_late = curves.sum(square * late) / late_steps
    floor = curves.mean(curves.error**2) + 1e-9
    upward = np.where(np.abs(step) > noise, np.sign(step), 0.0)
    turned = inner & _turned(curves, upward)
    crossings_late = curves.sum(crossed * late) / late_steps
    crossings_first = curves.sum(crossed * ~late) / first_steps
    return [
        curves.sum(square) / steps / curves.mean(off**2),
        np.log10((eta_late + floor) / (eta_first + floor)),
        curves.sum(turned.astype(float)) / curves.counts,
        curves.sum(crossed.astype(float)) / steps,
        crossings_late - crossings_first,
        curves.sum((inner & (np.abs(step) <= 2 * noise)).astype(float)) / steps,
        curves.largest(np.abs(step)),
    ]


def _turned(curves: _Curves, upward: Floats) -> np.ndarray:
    """Return where a step beyond the noise goes against the last such step of the curve."""
    places = np.flatnonzero(upward)
    turned = np.zeros(len(upward), bool)
    if len(places):
        same_curve = curves.curve[places][1:] == curves.curve[places][:-1]
        against = upward[places][1:] != upward[places][:-1]
        turned[places[1:]] = same_curve & against
    return turned


def _levels(curves: _Curves) -> list[Floats]:
    """Return the largest gap, how well two levels fit, and shares above two heights."""
    ordered = curves.ordered
    gaps = np.where(curves.inner, np.diff(ordered, prepend=0.0), 0.0)
    off = ordered - curves.spread(curves.mean(curves.flux))
    # Sums up to each point of the ordered curve, which is where the two levels are divided; what is
    # explained by the means of both sides is largest at the best division.
    below = np.cumsum(_in_steps(off))
    below -= curves.spread(below[curves.starts] - _in_steps(off[curves.starts]))
    lower = np.arange(len(off)) - curves.spread(curves.starts.astype(np.float64)) + 1
    upper = curves.spread(curves.counts) - lower
    explained = np.where(upper > 0, below**2 / lower + below**2 / np.maximum(upper, 1), 0.0)
    variance = curves.sum(off**2)
    left = np.maximum(variance - curves.largest(explained), 0.0)
    return [
        curves.largest(gaps),
        np.log10(np.maximum(left / variance, 1e-4)),
        curves.mean((curves.flux > _HALF).astype(np.float64)),
        curves.mean((curves.flux > _TENTH).astype(np.float64)),
    ]


def _course(curves: _Curves) -> list[Floats]:
    """Return trend, curvature, range of the cumulative sum, and when the extremes were."""
    off = curves.off
    time = curves.when - curves.spread(curves.mean(curves.when))
    variance, time_variance = curves.sum(off**2), curves.sum(time**2)
    trend = curves.sum(off * time) / np.sqrt(variance * time_variance)
    # A parabola that is orthogonal to a constant and to the line.
    square = time**2 - curves.spread(curves.mean(time**2))
    square -= time * curves.spread(curves.sum(square * time) / time_variance)
    explained = curves.sum(off * square) / np.sqrt(variance * curves.sum(square**2))
    total = np.cumsum(_in_steps(off))
    total -= curves.spread(total[curves.starts] - _in_steps(off[curves.starts]))
    cusum = (curves.largest(total) - curves.smallest(total)) / np.sqrt(curves.counts * variance)
    highest = curves.largest(np.where(curves.flux == 1, curves.when, 0.0))
    lowest = curves.largest(np.where(curves.flux == 0, curves.when, 0.0))
    ordered = curves.ordered

    def quantile(share: float) -> Floats:
        place = share * (curves.counts - 1)
        low = np.floor(place).astype(np.int64)
        part = place - low
        following = np.minimum(low + 1, curves.counts.astype(np.int64) - 1)
        return (1 - part) * ordered[curves.starts + low] + part * ordered[curves.starts + following]

    late = curves.when > 0.5
    return [
        trend,
        np.sign(explained) * explained**2,
        cusum,
        highest,
        lowest,
        quantile(0.5),
        quantile(0.75) - quantile(0.25),
        np.log10(_scatter(curves, late) / _scatter(curves, ~late)),
    ]


def _scatter(curves: _Curves, chosen: np.ndarray) -> Floats:
    """Return the scatter of some points of each curve, at least their errors."""
    count = np.maximum(curves.sum(chosen.astype(float)), 1)
    mean = curves.sum(curves.flux * chosen) / count
    square = curves.sum((curves.flux - curves.spread(mean)) ** 2 * chosen) / count
    return np.sqrt(square + curves.sum(curves.error**2 * chosen) / count + 1e-9)


def _shape(curves: _Curves) -> list[Floats]:
    """Return the deepest dip, how alone it is, the skewness of steps, and the acceleration."""
    inner = curves.inner
    gap = np.where(inner, np.diff(curves.when, prepend=0.0), 1.0)
    step = np.where(inner, np.diff(curves.flux, prepend=0.0), 0.0)
    slope = step / np.maximum(gap, 1e-3)
    both = inner & np.roll(inner, 1)
    both[0] = False
    steeper = np.where(both, np.sign(np.abs(slope) - np.abs(np.roll(slope, 1))), 0.0)
    steps = curves.counts - 1
    square = step**2
    mean_square = curves.sum(square) / steps
    deepest = _deepest_dip(curves)
    # All that a curve goes up and down, less its one way up to 1 and down again, is twice the depth
    # of all dips between maxima, each measured from the lower one of its sides.
    ends = curves.flux[curves.starts] + curves.flux[curves.starts + curves.counts.astype(int) - 1]
    dips = (curves.sum(np.abs(step)) + ends) / 2 - 1
    alone = np.divide(deepest, dips, out=np.zeros(len(dips)), where=dips > 0)
    return [
        deepest,
        deepest * alone,
        np.log10((dips - deepest + _SHALLOW) / (deepest + _SHALLOW)),
        curves.sum(step * square) / steps / (mean_square * np.sqrt(mean_square)),
        curves.sum(steeper) / (curves.counts - 2),
    ]


def _deepest_dip(curves: _Curves) -> Floats:
    """Return the depth of the deepest dip between two maxima, from the lower one; 0 without any."""
    size = len(curves.curve)
    before = np.where(curves.inner, np.roll(curves.flux, 1), -np.inf)
    is_last = np.zeros(size, bool)
    is_last[curves.starts[1:] - 1] = True
    is_last[-1] = True
    after = np.where(is_last, -np.inf, np.roll(curves.flux, -1))
    top = (curves.flux >= before) & (curves.flux > after)
    # The lowest point between a maximum and the highest point of the curve: running minima from
    # the highest point to both sides.
    depth = np.zeros(len(curves.counts))
    highest = np.full(len(curves.counts), -1)
    is_highest = np.flatnonzero(curves.flux == 1)
    highest[curves.curve[is_highest]] = is_highest
    for forward in (True, False):
        valley = _valley(curves, highest, forward=forward)
        depth = np.maximum(depth, curves.largest(np.where(top, curves.flux - valley, 0.0)))
    return depth


def _valley(curves: _Curves, highest: np.ndarray, *, forward: bool) -> Floats:
    """Return the lowest flux between the highest point and each point on one side; else inf."""
    size = len(curves.curve)
    place = np.arange(size)
    side = place > curves.spread(highest) if forward else place < curves.spread(highest)
    values = np.where(side, curves.flux, 1.0)
    order = place if forward else place[::-1]
    # The running minimum starts anew at each curve: curves are kept apart by whole numbers.
    owner = curves.curve if forward else len(curves.counts) - 1 - curves.curve
    kept_apart = values[order] - 2.0 * owner[order]
    running = np.minimum.accumulate(kept_apart) + 2.0 * owner[order]
    out = np.empty(size)
    out[order] = running
    return np.where(side, out, np.inf)


def _ends(values: Floats, counts: np.ndarray) -> tuple[Floats, Floats]:
    if not len(counts):
        return np.empty(0), np.empty(0)
    starts = np.cumsum(counts) - counts
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
