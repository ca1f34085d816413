"""The rates of the archive over its history as SVG: a UTC axis, alarms as bands, visits as marks.

Made on the server: Gradio's own plot took 20 ms of its CPU and 40 kB for each viewer and second,
showed times in the browser's zone, and cut off its labels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from finkray.status.archive import RatePoint, Snapshot
from finkray.text import time_text
from ui.kit.markup import escaped

WIDTH, HEIGHT = 1240, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 12, 34

CURVES: Final[dict[str, tuple[str, Callable[[RatePoint], float]]]] = {
    "incoming": ("#4c8fd6", lambda point: point.incoming_per_s),
    "archiving": ("#e08a3c", lambda point: point.archived_per_s),
}
"""Colour and value by name; the colours are distinct for colour-blind readers, on white and on
black, and the second curve is dashed."""

_STEPS_S: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400)


def rates_svg(snapshot: Snapshot | None) -> str:
    """Return the two curves with their legend; "" without a history."""
    if snapshot is None or not snapshot.history:
        return ""
    points = snapshot.history
    end = points[-1].at
    begin = min(points[0].at, end - timedelta(seconds=60))
    highest = max(max(value(point) for _, value in CURVES.values()) for point in points)
    step, top = _round_top(highest)

    def x_of(at: datetime) -> float:
        share = (at - begin) / (end - begin)
        return _LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        return HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM)

    curves = "".join(
        f"<g class='mark-line'><path d='{_path(points, value, x_of, y_of)}' fill='none' "
        f"stroke='{colour}' stroke-width='2'{_dash(name)}/></g>"
        for name, (colour, value) in CURVES.items()
    )
    legend = "".join(
        f"<span><svg width='26' height='10' aria-hidden='true'><path d='M0 5H26' stroke='{colour}' "
        f"stroke-width='3'{_dash(name)}/></svg> {name}</span>"
        for name, (colour, _) in CURVES.items()
    )
    label = f"alerts/s read and made durable, {time_text(begin)} to {time_text(end)}"
    return (
        f"<section class='fr-table fr-wide' id='rates'><svg class='fr-curve' "
        f"viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{escaped(label)}'>"
        f"{''.join(_bands(snapshot, begin, end, x_of))}"
        f"{''.join(_times(begin, end, x_of))}{''.join(_heights(step, top, y_of))}"
        f"{''.join(_visits(snapshot, begin, x_of))}{curves}</svg>"
        f"<div class='fr-legend'><span>alerts/s, UTC</span>{legend}"
        "<span>▾ last alert of a visit</span></div></section>"
    )


def _path(
    points: Sequence[RatePoint],
    value: Callable[[RatePoint], float],
    x_of: Callable[[datetime], float],
    y_of: Callable[[float], float],
) -> str:
    return "M" + "L".join(f"{x_of(point.at):.0f} {y_of(value(point)):.0f}" for point in points)


def _dash(name: str) -> str:
    return " stroke-dasharray='6 3'" if name == "archiving" else ""


def _round_top(highest: float) -> tuple[float, float]:
    """Return a round step of the axis and a multiple of it that is not below the highest value."""
    raw = max(highest, 1.0) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return step, step * max(1, math.ceil(highest / step))


def _heights(step: float, top: float, y_of: Callable[[float], float]) -> Iterator[str]:
    for number in range(round(top / step) + 1):
        y = y_of(number * step)
        yield f"<path class='fr-line' d='M{_LEFT} {y:.0f}H{WIDTH - _RIGHT}'/>"
        yield f"<text x='{_LEFT - 6}' y='{y + 4:.0f}' text-anchor='end'>{number * step:g}</text>"


def _times(begin: datetime, end: datetime, x_of: Callable[[datetime], float]) -> Iterator[str]:
    extent_s = (end - begin).total_seconds()
    step_s = next((step for step in _STEPS_S if extent_s / step <= 10), _STEPS_S[-1])
    first = math.ceil(begin.timestamp() / step_s)
    for number in range(first, math.floor(end.timestamp() / step_s) + 1):
        at = datetime.fromtimestamp(number * step_s, begin.tzinfo)
        x = x_of(at)
        text = f"{at:%H:%M:%S}" if step_s < 60 else f"{at:%H:%M}"
        yield f"<path class='fr-line' d='M{x:.0f} {_TOP}V{HEIGHT - _BOTTOM}'/>"
        yield f"<text x='{x:.0f}' y='{HEIGHT - 14}' text-anchor='middle'>{text}</text>"


def _bands(
    snapshot: Snapshot, begin: datetime, end: datetime, x_of: Callable[[datetime], float]
) -> Iterator[str]:
    spans = [(alarm.code, alarm.since, end) for alarm in snapshot.alarms]
    spans += [(alarm.code, alarm.since, alarm.until) for alarm in snapshot.past_alarms]
    for code, since, until in spans:
        if until > begin and since < end:
            x = x_of(since)
            width = max(2.0, x_of(until) - x)
            yield (
                f"<rect class='fr-alarmband' x='{x:.0f}' y='{_TOP}' width='{width:.0f}' "
                f"height='{HEIGHT - _TOP - _BOTTOM}'><title>{escaped(code)}</title></rect>"
            )


def _visits(
    snapshot: Snapshot, begin: datetime, x_of: Callable[[datetime], float]
) -> Iterator[str]:
    for visit in snapshot.visits:
        if visit.last_arrival is not None and visit.last_arrival > begin:
            x = x_of(visit.last_arrival)
            title = f"{visit.survey} {visit.visit}: {visit.alerts} alerts"
            yield (
                f"<path class='fr-visit' d='M{x - 4:.0f} {_TOP}h8l-4 7z'>"
                f"<title>{escaped(title)}</title></path>"
            )
