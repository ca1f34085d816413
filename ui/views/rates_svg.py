"""The rates of the archive over its history as SVG: a UTC axis, alarms as bands, visits as marks.

Made on the server: Gradio's own plot took 20 ms of its CPU and 40 kB for each viewer and second,
showed times in the browser's zone, and cut off its labels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from finkray.status.archive import RatePoint, Snapshot
from finkray.text import time_text
from ui.kit.markup import escaped
from ui.views.time_plot_svg import (
    BOTTOM,
    HEIGHT,
    TOP,
    TimeAxis,
    dashed,
    legend_svg,
    plot_html,
    tick_svg,
)

CURVES: Final[dict[str, tuple[str, str, Callable[[RatePoint], float]]]] = {
    "incoming": ("#4c8fd6", "", lambda point: point.incoming_per_s),
    "archiving": ("#e08a3c", "6 3", lambda point: point.archived_per_s),
}
"""Colour, dashes and value by name; the colours are distinct for colour-blind readers, on white and
on black."""


def time_axis(snapshot: Snapshot) -> TimeAxis:
    """Return the axis of the history of a snapshot, which is not empty."""
    end = snapshot.history[-1].at
    return TimeAxis(min(snapshot.history[0].at, end - timedelta(seconds=60)), end)


def rates_svg(snapshot: Snapshot | None) -> str:
    """Return the two curves with their legend; "" without a history."""
    if snapshot is None or not snapshot.history:
        return ""
    points, axis = snapshot.history, time_axis(snapshot)
    highest = max(max(value(point) for _, _, value in CURVES.values()) for point in points)
    step, top = _round_top(highest)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    curves = "".join(
        f"<g class='mark-line'><path d='{_path(points, value, axis, y_of)}' fill='none' "
        f"stroke='{colour}' stroke-width='2'{dashed(dashes)}/></g>"
        for colour, dashes, value in CURVES.values()
    )
    legend = "".join(
        legend_svg(colour, dashes, name) for name, (colour, dashes, _) in CURVES.items()
    )
    ticks = "".join(
        tick_svg(y_of(number * step), f"{number * step:g}")
        for number in range(round(top / step) + 1)
    )
    label = f"alerts/s read and made durable, {time_text(axis.begin)} to {time_text(axis.end)}"
    drawn = (
        f"{''.join(_bands(snapshot, axis))}{''.join(axis.ticks())}{ticks}"
        f"{''.join(_visits(snapshot, axis))}{curves}"
    )
    legend = f"<span>alerts/s, UTC</span>{legend}<span>▾ last alert of a visit</span>"
    return plot_html("rates", label, drawn, legend)


def _path(
    points: Sequence[RatePoint],
    value: Callable[[RatePoint], float],
    axis: TimeAxis,
    y_of: Callable[[float], float],
) -> str:
    return "M" + "L".join(f"{axis.x_of(point.at):.0f} {y_of(value(point)):.0f}" for point in points)


def _round_top(highest: float) -> tuple[float, float]:
    """Return a round step of the axis and a multiple of it that is not below the highest value."""
    raw = max(highest, 1.0) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return step, step * max(1, math.ceil(highest / step))


def _bands(snapshot: Snapshot, axis: TimeAxis) -> Iterator[str]:
    spans = [(alarm.code, alarm.since, axis.end) for alarm in snapshot.alarms]
    spans += [(alarm.code, alarm.since, alarm.until) for alarm in snapshot.past_alarms]
    for code, since, until in spans:
        if until > axis.begin and since < axis.end:
            x = axis.x_of(since)
            width = max(2.0, axis.x_of(until) - x)
            yield (
                f"<rect class='fr-alarmband' x='{x:.0f}' y='{TOP}' width='{width:.0f}' "
                f"height='{HEIGHT - TOP - BOTTOM}'><title>{escaped(code)}</title></rect>"
            )


def _visits(snapshot: Snapshot, axis: TimeAxis) -> Iterator[str]:
    for visit in snapshot.visits:
        if visit.last_arrival is not None and visit.last_arrival > axis.begin:
            x = axis.x_of(visit.last_arrival)
            title = f"{visit.survey} {visit.visit}: {visit.alerts} alerts"
            yield (
                f"<path class='fr-visit' d='M{x - 4:.0f} {TOP}h8l-4 7z'>"
                f"<title>{escaped(title)}</title></path>"
            )
