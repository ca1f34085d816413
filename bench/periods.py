"""`python -m bench.periods`: how often a period of a made RR Lyrae is found, and how fast.

Each star is of type RRab or RRc, has a saw-tooth or a sine as its light curve, and is observed in
one band on some of 90 nights, each time within three hours of midnight. A period is right if the
highest peak has it; it is flagged if a daily alias of a peak that is shown has it.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.curves.periodogram import Periodogram, periodogram
from finkray.curves.schema import POINT

NIGHTS: Final = 90
POINTS: Final = (40, 60)
"""Fewest and most points of a star."""

NOISE_MAG: Final = 0.03
RISE: Final = 0.15
"""Part of an RRab's period in which it brightens."""


def star(rng: np.random.Generator) -> tuple[pa.Table, float]:
    """Return the light curve of a star, and its period in days."""
    is_ab = rng.random() < 0.8
    period_days = rng.uniform(0.45, 0.75) if is_ab else rng.uniform(0.25, 0.42)
    amplitude_mag = rng.uniform(0.5, 1.2) if is_ab else rng.uniform(0.3, 0.5)
    count = int(rng.integers(*POINTS, endpoint=True))
    nights = np.sort(rng.choice(NIGHTS, count, replace=False))
    days = 61_000.0 + nights + rng.uniform(-0.125, 0.125, count)
    phase = (days / period_days + rng.random()) % 1
    falling = np.minimum(phase / (1 - RISE), (1 - phase) / RISE)
    shape = falling - 0.5 if is_ab else 0.5 * np.sin(2 * np.pi * phase)
    mag = 17.0 + amplitude_mag * shape + rng.normal(0, NOISE_MAG, count)
    flux = 10 ** (0.4 * (31.4 - mag))
    values = {
        "survey": ["ztf"] * count,
        "object_id": ["star"] * count,
        "kind": ["detection"] * count,
        "key": np.arange(count),
        "mjd_tai": days,
        "time_absurd": [False] * count,
        "band": ["g"] * count,
        "flux_njy": flux,
        "flux_err_njy": flux * NOISE_MAG,
        "apparent_mag": mag,
        "apparent_mag_err": np.full(count, NOISE_MAG),
        "double": [False] * count,
    }
    columns = [
        pa.array(values[field.name], field.type)
        if field.name in values
        else pa.nulls(count, field.type)
        for field in POINT
    ]
    return pa.table(columns, schema=POINT), period_days


def is_right(found: Periodogram, period_days: float, *, aliases: bool) -> bool:
    """Return whether the highest peak, or with `aliases` any or its aliases, has a period.

    That is, to half a cycle over the whole light curve.
    """
    peaks = found.peaks if aliases else found.peaks[:1]
    periods = [peak.period_days for peak in peaks]
    if aliases:
        periods += [alias for peak in peaks for alias in peak.daily_aliases_days]
    return any(abs(1 / each - 1 / period_days) * found.span_days < 0.5 for each in periods)


def main(arguments: Sequence[str] | None = None) -> int:
    """Search the periods of made stars, and print how many were found."""
    parser = argparse.ArgumentParser(prog="python -m bench.periods", description=__doc__)
    parser.add_argument("--stars", type=int, default=100, metavar="N")
    options = parser.parse_args(arguments)
    for terms in (1, 3):
        rng = np.random.default_rng(1)
        highest, flagged, times = 0, 0, []
        for _ in range(options.stars):
            points, period_days = star(rng)
            begun_s = time.perf_counter()
            found = periodogram(points, "g", terms=terms)
            times.append(1e3 * (time.perf_counter() - begun_s))
            highest += is_right(found, period_days, aliases=False)
            flagged += is_right(found, period_days, aliases=True)
        print(
            f"{options.stars} stars, {terms} terms: right is the highest peak of {highest}, a peak "
            f"or a daily alias of one of {flagged}; p50 {statistics.median(times):.1f} ms, longest "
            f"{max(times):.1f} ms"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
