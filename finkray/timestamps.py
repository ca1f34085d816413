"""Say which times are absurd.

A clock that was never set, seconds taken for milliseconds, Kafka's -1 for "no timestamp": such a
time is treated as if there was none, everywhere. The column `kafka_timestamp` is null, the folder
is that of the observation, and latencies and visits leave it out.
"""

from collections.abc import Sequence
from typing import Final, overload

import numpy as np

EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
"""2000-01-01 up to, not including, 2100-01-01, in ms of Unix time: a time outside is absurd."""


@overload
def is_plausible(ms: np.ndarray) -> np.ndarray: ...
@overload
def is_plausible(ms: float) -> bool: ...


def is_plausible(ms: np.ndarray | float) -> np.ndarray | bool:
    """Whether each of these times, in ms of Unix time, is not absurd; false for NaN."""
    return (ms >= EARLIEST_MS) & (ms < LATEST_MS)


def kafka_seconds(timestamps_ms: Sequence[int | None]) -> np.ndarray:
    """Return Kafka's timestamps in seconds; NaN where one is missing or absurd."""
    ms = np.array([np.nan if ms is None else ms for ms in timestamps_ms], np.float64)
    return np.where(is_plausible(ms), ms / 1e3, np.nan)
