"""The quantiles of latencies that benchmarks print."""

from collections.abc import Sequence

import numpy as np


def latency_quantiles(seconds: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Return p50, p95 and p99 of some times."""
    p50, p95, p99 = np.quantile(seconds, (0.5, 0.95, 0.99)).tolist()
    return p50, p95, p99
