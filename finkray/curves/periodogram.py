"""Search periods in a light curve, band by band, with astropy's Lomb-Scargle periodogram.

Observations once a night also fit a period whose frequency is one or two cycles a day away: each
peak comes with its daily aliases, and one that is an alias of a higher peak is marked. Eclipsing
binaries show at half their period, and RR Lyrae need several terms.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import TooFewPoints

FEWEST_POINTS: Final = 15
"""Fewest points from which a period is searched: of 60 made RR Lyrae with twelve points in 30 days,
only 2 to 6 got the right period."""

PEAKS: Final = 3

POWERS_DRAWN: Final = 400
_SAMPLES_PER_PEAK: Final = 10
_MOST_FREQUENCIES: Final = 2_000_000
_ERRORS: Final = {"apparent_mag": "apparent_mag_err", "flux_njy": "flux_err_njy"}
_DAILY: Final = (1.0, 2.0, 1.0 / 3.0)
"""Differences of frequency, per day, that sampling once a night makes."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak of a periodogram.

    Attributes
    ----------
    period_days
        the period
    power
        from 0 to 1, of the exact sum, normalised by the residuals of a constant
    false_alarm_probability
        of a peak this high in noise, by Baluev's bound; None with several terms
    daily_aliases_days
        periods that nightly sampling cannot tell from this one
    alias_of
        rank, from 1, of a higher peak that this one is a daily alias of; None if of none
    is_daily
        the period is a whole day or a simple fraction of it, as the sampling itself is
    """

    period_days: float
    power: float
    false_alarm_probability: float | None
    daily_aliases_days: tuple[float, ...]
    alias_of: int | None
    is_daily: bool


@dataclass(frozen=True, slots=True)
class Periodogram:
    """The highest peaks of one band.

    Attributes
    ----------
    band
        its name
    points, span_days
        how many points were used, and the time from the first to the last
    quantity
        the column that was fitted: `apparent_mag` or `flux_njy`
    peaks
        the highest first
    powers
        to draw it: period in days and power, by increasing period; of `POWERS_DRAWN` bands of
        periods, as wide as each other on a logarithmic axis, the highest
    """

    band: str
    points: int
    span_days: float
    quantity: str
    peaks: tuple[Peak, ...]
    powers: tuple[tuple[float, float], ...] = ()


def usable(points: pa.Table) -> pa.Table:
    """Return the detections of a light curve that are no doubles and have time, flux and error."""
    good = (
        (pc.field("kind") == "detection")
        & ~pc.field("double")
        & ~pc.field("time_absurd")
        & (pc.field("flux_err_njy") > 0)
        & pc.field("flux_njy").is_valid()
    )
    return points.filter(good)


def periodogram(
    points: pa.Table,
    band: str,
    *,
    shortest_days: float = 0.1,
    longest_days: float | None = None,
    terms: int = 1,
) -> Periodogram:
    """Return the highest peaks of the periodogram of a band.

    Parameters
    ----------
    points
        light curve of one object: columns of `finkray.curves.schema.POINT`
    band
        name of the band
    shortest_days, longest_days
        periods that are searched; `longest_days` None is half of the time from the first point to
        the last
    terms
        of the Fourier series that is fitted

    Raises
    ------
    TooFewPoints
        if the band has fewer than `FEWEST_POINTS` usable points, or they span no time
    ValueError
        if the periods are none that can be searched
    """
    from astropy.timeseries import LombScargle

    of_band = usable(points).filter(pc.field("band") == band)
    if of_band.num_rows < FEWEST_POINTS:
        raise TooFewPoints(
            f"band {band} has {of_band.num_rows} usable detections: a period needs {FEWEST_POINTS}"
        )
    quantity, chosen = _values(of_band)
    time = chosen["mjd_tai"].to_numpy()
    span = float(time.max() - time.min())
    longest = span / 2 if longest_days is None else longest_days
    if span <= 0:
        raise TooFewPoints(f"all detections of band {band} have one time: they tell no period")
    if not 0 < shortest_days < longest or terms < 1:
        raise ValueError(
            f"periods from {shortest_days:g} to {longest:g} days with {terms} terms cannot be "
            "searched: the first must be above 0 and shorter than the second, with a term at least"
        )
    low, high = 1 / longest, 1 / shortest_days
    count = int((high - low) * span * _SAMPLES_PER_PEAK) + 2
    if count > _MOST_FREQUENCIES:
        raise ValueError(
            f"{count} frequencies are too many: search longer periods than {shortest_days:g} days"
        )
    model = LombScargle(
        time, chosen[quantity].to_numpy(), chosen[_ERRORS[quantity]].to_numpy(), nterms=terms
    )
    frequency = np.linspace(low, high, count)
    method = "fast" if terms == 1 else "fastchi2"
    power = model.power(frequency, method=method, assume_regular_frequency=True)
    peaks: list[Peak] = []
    for near in _highest(frequency, power, 1 / span):
        higher = [1 / peak.period_days for peak in peaks]
        peaks.append(_peak(model, near, high, 1 / span, higher))
    powers = _highest_by_band(frequency, power)
    return Periodogram(band, chosen.num_rows, span, quantity, tuple(peaks), powers)


def _values(points: pa.Table) -> tuple[str, pa.Table]:
    """Return the column to fit and its rows: apparent magnitudes where enough points have them."""
    apparent = points.filter(
        pc.field("apparent_mag").is_valid() & (pc.field("apparent_mag_err") > 0)
    )
    if apparent.num_rows >= FEWEST_POINTS:
        return "apparent_mag", apparent
    return "flux_njy", points


def _highest_by_band(frequency: np.ndarray, power: np.ndarray) -> tuple[tuple[float, float], ...]:
    bands = np.geomspace(frequency[0], frequency[-1], POWERS_DRAWN + 1)
    starts = np.unique(np.searchsorted(frequency, bands[:-1]))
    ends = [*starts[1:], len(frequency)]
    highest = [int(b + np.argmax(power[b:e])) for b, e in zip(starts, ends, strict=True)]
    return tuple((float(1 / frequency[n]), float(power[n])) for n in reversed(highest))


def _highest(frequency: np.ndarray, power: np.ndarray, width: float) -> list[float]:
    """Return the frequencies of the highest maxima that lie apart by more than a peak's width."""
    padded = np.concatenate([[-np.inf], power, [-np.inf]])
    maxima = np.flatnonzero((power >= padded[:-2]) & (power >= padded[2:]))
    chosen: list[float] = []
    for index in maxima[np.argsort(-power[maxima], kind="stable")]:
        if all(abs(frequency[index] - other) > 1.5 * width for other in chosen):
            chosen.append(float(frequency[index]))
        if len(chosen) == PEAKS:
            break
    return chosen


def _peak(model: Any, near: float, high: float, width: float, higher: list[float]) -> Peak:
    """Return a peak, with the exact sum: the fast one can be off where times are clustered."""
    step = width / _SAMPLES_PER_PEAK
    fine = np.linspace(max(near - step, step / 100), near + step, 41)
    power = model.power(fine, method="slow" if model.nterms == 1 else "chi2")
    best = float(fine[int(np.argmax(power))])
    aliases = sorted({abs(best + sign * day) for day in _DAILY[:2] for sign in (-1, 1)})
    alias_of = next(
        (rank for rank, other in enumerate(higher, 1) if _are_aliases(best, other, width)), None
    )
    highest = float(power.max())
    probability = (
        float(model.false_alarm_probability(highest, method="baluev", maximum_frequency=high))
        if model.nterms == 1
        else None
    )
    return Peak(
        period_days=1 / best,
        power=highest,
        false_alarm_probability=probability,
        daily_aliases_days=tuple(1 / alias for alias in aliases if alias > width),
        alias_of=alias_of,
        is_daily=any(abs(best - number) < 1.5 * width for number in (1, 2, 3, 4)),
    )


def _are_aliases(first: float, second: float, width: float) -> bool:
    differences = (abs(first - second), first + second)
    return any(abs(each - day) < 1.5 * width for each in differences for day in _DAILY)
