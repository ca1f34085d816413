"""Periods of made stars are found, with daily aliases flagged; few points are refused."""

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from finkray.curves.periodogram import Periodogram, periodogram
from finkray.curves.rules import curve_points
from finkray.errors import TooFewPoints
from tests.support.curve_alerts import FIRST_JD, ztf_alert, ztf_detection, ztf_table


def star(
    period_days: float, nights: int, seed: int, *, every: float = 1.0, reference: bool = True
) -> pa.Table:
    """A star of 17 mag that varies by 0.3 mag, observed within two hours of each night."""
    random = np.random.default_rng(seed)
    alerts = []
    for night in range(1, nights + 1):
        day = night * every + random.uniform(0, 0.1)
        apparent = 17.0 + 0.3 * math.sin(2 * math.pi * day / period_days) + random.normal(0, 0.02)
        flux, mean = 10 ** (-0.4 * apparent), 10 ** (-0.4 * 17.0)
        near = {"distnr": 0.2, "magnr": 17.0, "sigmagnr": 0.01} if reference else {}
        detection = ztf_detection(
            night,
            jd=FIRST_JD + day,
            isdiffpos="t" if flux > mean else "f",
            magpsf=-2.5 * math.log10(abs(flux - mean) + 1e-12),
            sigmapsf=0.05,
            **near,
        )
        alerts.append(ztf_alert(detection))
    return curve_points(ztf_table(*alerts))


def right(found: Periodogram, period_days: float) -> bool:
    """Whether a peak, or a daily alias of one, has the period to a tenth of a phase."""
    periods = [p for peak in found.peaks for p in (peak.period_days, *peak.daily_aliases_days)]
    return any(abs(1 / period - 1 / period_days) * found.span_days < 0.5 for period in periods)


def test_nine_of_ten_made_rr_lyrae_have_the_right_period_or_a_flagged_alias() -> None:
    random = np.random.default_rng(5)
    periods = random.uniform(0.35, 0.85, 30)
    found = [
        right(periodogram(star(period, 45, n, every=2.0), "g"), period)
        for n, period in enumerate(periods)
    ]
    assert sum(found) >= 27


def test_peaks_are_in_order_and_lower_ones_that_are_aliases_say_so() -> None:
    found = periodogram(star(0.57, 80, 1), "g")
    assert found.quantity == "apparent_mag"
    assert found.points == 80
    assert found.peaks[0].alias_of is None
    assert found.peaks[0].false_alarm_probability is not None
    assert found.peaks[0].false_alarm_probability < 1e-6
    assert all(high.power >= low.power for high, low in pairwise(found.peaks))
    assert {peak.alias_of for peak in found.peaks[1:]} <= {1, 2}


def test_a_star_without_reference_is_fitted_in_flux() -> None:
    found = periodogram(star(0.57, 60, 2, reference=False), "g", terms=2)
    assert found.quantity == "flux_njy"
    assert found.peaks[0].false_alarm_probability is None


def test_a_period_of_a_day_is_marked_as_that_of_the_sampling() -> None:
    peaks = periodogram(star(1.0, 60, 3), "g").peaks
    assert any(peak.is_daily for peak in peaks)


def test_fourteen_points_tell_no_period() -> None:
    with pytest.raises(TooFewPoints, match="band g has 14 usable detections: a period needs 15"):
        periodogram(star(0.5, 14, 4), "g")
    with pytest.raises(TooFewPoints, match="band r has 0"):
        periodogram(star(0.5, 40, 4), "r")


@pytest.mark.parametrize(("shortest", "terms"), [(0, 1), (-1, 1), (1000, 1), (0.1, 0), (1e-7, 1)])
def test_what_cannot_be_searched_is_refused(shortest: float, terms: int) -> None:
    with pytest.raises(ValueError, match="search"):
        periodogram(star(0.5, 20, 4), "g", shortest_days=shortest, terms=terms)
