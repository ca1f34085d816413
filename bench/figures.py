"""Compute the figures of the table from what was measured of a chain. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from bench.meter import Sample


@dataclass(frozen=True, slots=True)
class Progress:
    """The number of alerts in Parquet files at one time."""

    at_unix_s: float
    alerts: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement of one chain.

    Attributes
    ----------
    alerts
        Number of archived alerts.
    first_s
        From the chain's launch until the first alerts were in Parquet files.
    overall_per_s
        All alerts over the time from the launch until the last of them was in a file.
    warm_per_s
        The alerts after the warm-up over their time; None if one report has all of them.
    warm_bytes_per_s
        The same in bytes of messages.
    cpu_s_per_1000
        CPU seconds of all its processes for 1000 alerts, after the warm-up.
    peak_rss_bytes
        The largest sum of its processes' resident memory.
    disk_bytes_per_alert
        Bytes of the Parquet files that it wrote, per alert.
    """

    alerts: int
    first_s: float
    overall_per_s: float
    warm_per_s: float | None
    warm_bytes_per_s: float | None
    cpu_s_per_1000: float | None
    peak_rss_bytes: int
    disk_bytes_per_alert: float


def work_out(
    progress: Sequence[Progress],
    samples: Sequence[Sample],
    *,
    launched_unix_s: float,
    warm_after: int,
    message_bytes: float,
    disk_bytes: int,
) -> Figures:
    """Work out the figures of a chain that has archived everything.

    Parameters
    ----------
    progress
        All reports, in order of time; at least one.
    samples
        Samples of its processes, in order of time; at least one.
    launched_unix_s
        Time at which its process was started.
    warm_after
        The warm-up ends with the report that reaches this number of alerts.
    message_bytes
        Mean size of a message.
    disk_bytes
        Of all Parquet files.
    """
    first, last = progress[0], progress[-1]
    warm = next(step for step in progress if step.alerts >= min(warm_after, last.alerts))
    alerts, took_s = last.alerts - warm.alerts, last.at_unix_s - warm.at_unix_s
    warm_per_s = alerts / took_s if alerts and took_s > 0 else None
    cpu_s = _cpu_at(samples, last.at_unix_s) - _cpu_at(samples, warm.at_unix_s)
    return Figures(
        alerts=last.alerts,
        first_s=first.at_unix_s - launched_unix_s,
        overall_per_s=last.alerts / (last.at_unix_s - launched_unix_s),
        warm_per_s=warm_per_s,
        warm_bytes_per_s=None if warm_per_s is None else warm_per_s * message_bytes,
        cpu_s_per_1000=1000 * cpu_s / alerts if alerts else None,
        peak_rss_bytes=max(sample.rss_bytes for sample in samples),
        disk_bytes_per_alert=disk_bytes / last.alerts,
    )


def median(rounds: Sequence[Figures]) -> Figures:
    """Return the round with the median warm rate: a measured round, not a mixture of several."""
    ordered = sorted(rounds, key=lambda figures: figures.warm_per_s or 0.0)
    return ordered[(len(ordered) - 1) // 2]


def spread(rounds: Sequence[Figures]) -> tuple[float, float] | None:
    """Return the lowest and the highest warm rate."""
    rates = [figures.warm_per_s for figures in rounds if figures.warm_per_s is not None]
    return (min(rates), max(rates)) if rates else None


def _cpu_at(samples: Sequence[Sample], at_unix_s: float) -> float:
    """Return the CPU seconds used until a time, interpolated between two samples."""
    after = bisect_right([sample.at_unix_s for sample in samples], at_unix_s)
    if after == 0:
        return 0.0
    if after == len(samples):
        return samples[-1].cpu_s
    left, right = samples[after - 1], samples[after]
    share = (at_unix_s - left.at_unix_s) / (right.at_unix_s - left.at_unix_s)
    return left.cpu_s + share * (right.cpu_s - left.cpu_s)
