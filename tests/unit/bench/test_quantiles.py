"""The quantiles of latencies."""

import numpy as np

from bench.quantiles import latency_quantiles


def test_quantiles_are_those_of_the_times_in_any_order() -> None:
    times = np.arange(101.0)[::-1]
    assert latency_quantiles(times) == (50.0, 95.0, 99.0)
    assert latency_quantiles(times.tolist()) == (50.0, 95.0, 99.0)
