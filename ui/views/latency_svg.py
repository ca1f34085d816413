"""How late alerts reached each stage, over time, as SVG: a logarithmic axis with the 60 s line."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from finkray.status.archive import Stage
from finkray.text import time_text
from ui.history import LatencyPoint
from ui.views.archive import LATENCY_LINE_S
from ui.views.time_plot_svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    TimeAxis,
    dashed,
    legend_svg,
    plot_html,
    tick_svg,
)

CURVES: Final[dict[Stage, tuple[str, str]]] = {
    "polled": ("#8a8f98", "2 3"),
    "decoded": ("#4c8fd6", "6 3"),
    "durable": ("#e08a3c", ""),
}
"""Colour and dashes by stage, so that no curve differs from another by its colour alone."""

FLOOR_S: Final = 0.01
"""The lower end of the axis: Kafka's timestamps have milliseconds, and clocks differ by some."""

_LEAST_TOP_S: Final = 100.0


def latency_svg(
    points: Sequence[LatencyPoint], begin: datetime, end: datetime, longest_gap: timedelta
) -> str:
    """Return a curve for each stage with its legend; "" where no alert reached one.

    Parameters
    ----------
    points
        By time.
    begin, end
        Of the axis.
    longest_gap
        A curve has a gap where its points are further apart, and where no alert reached a stage:
        what is not known is not drawn.
    """
    points = [point for point in points if begin <= point.at <= end]
    highest = max((value for point in points for value in point.p95_s.values()), default=None)
    if highest is None:
        return ""
    axis = TimeAxis(begin, end)
    lowest_log = math.log10(FLOOR_S)
    highest_log = math.ceil(math.log10(max(_LEAST_TOP_S, highest)))

    def y_of(seconds: float) -> float:
        share = (math.log10(max(FLOOR_S, seconds)) - lowest_log) / (highest_log - lowest_log)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def path(stage: Stage) -> str:
        parts: list[str] = []
        last_at: datetime | None = None
        for point in points:
            if stage not in point.p95_s:
                last_at = None
                continue
            place = f"{axis.x_of(point.at):.0f} {y_of(point.p95_s[stage]):.0f}"
            joined = last_at is not None and point.at - last_at <= longest_gap
            # A point that stands alone is a pixel wide.
            parts.append(f"L{place}" if joined else f"M{place}h1")
            last_at = point.at
        return "".join(parts)

    curves = "".join(
        f"<g class='mark-line'><path d='{path(stage)}' fill='none' stroke='{colour}' "
        f"stroke-width='2'{dashed(dashes)}/></g>"
        for stage, (colour, dashes) in CURVES.items()
    )
    ticks = "".join(
        tick_svg(y_of(10.0**power), f"{10.0**power:g}")
        for power in range(round(lowest_log), highest_log + 1)
    )
    y = y_of(LATENCY_LINE_S)
    limit = (
        f"<path class='fr-limit' d='M{LEFT} {y:.0f}H{WIDTH - RIGHT}'/>"
        f"<text x='{WIDTH - RIGHT - 4}' y='{y - 4:.0f}' text-anchor='end'>"
        f"{LATENCY_LINE_S:.0f} s</text>"
    )
    legend = "".join(legend_svg(*CURVES[stage], stage) for stage in CURVES)
    since = f"; known since {time_text(points[0].at)}" if points[0].at > begin + longest_gap else ""
    label = f"latency p95 by stage, {time_text(begin)} to {time_text(end)}"
    drawn = f"{''.join(axis.ticks())}{ticks}{limit}{curves}"
    legend = (
        f"<span>latency: seconds from Kafka's timestamp, p95 of two minutes{since}</span>{legend}"
    )
    return plot_html("latency", label, drawn, legend)
