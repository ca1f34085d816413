"""The frame of plots over time as SVG: a UTC axis, lines and labels of values."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ui.kit.markup import escaped

WIDTH, HEIGHT = 1240, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 34

_STEPS_S: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The horizontal axis, from one time to another."""

    begin: datetime
    end: datetime

    def x_of(self, at: datetime) -> float:
        """Return where a time stands; one before or after the axis stands at its end."""
        share = (at - self.begin) / (self.end - self.begin)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> Iterator[str]:
        """Yield lines and labels of the axis, at round times in UTC."""
        extent_s = (self.end - self.begin).total_seconds()
        step_s = next((step for step in _STEPS_S if extent_s / step <= 10), _STEPS_S[-1])
        first = math.ceil(self.begin.timestamp() / step_s)
        for number in range(first, math.floor(self.end.timestamp() / step_s) + 1):
            at = datetime.fromtimestamp(number * step_s, self.begin.tzinfo)
            x = self.x_of(at)
            text = f"{at:%H:%M:%S}" if step_s < 60 else f"{at:%H:%M}"
            yield f"<path class='fr-line' d='M{x:.0f} {TOP}V{HEIGHT - BOTTOM}'/>"
            yield f"<text x='{x:.0f}' y='{HEIGHT - 14}' text-anchor='middle'>{text}</text>"


def tick_svg(y: float, text: str) -> str:
    """Return the line of a value of the vertical axis, its label, and one at the newest end.

    The latter shows on a phone, where the other is out of sight.
    """
    return (
        f"<path class='fr-line' d='M{LEFT} {y:.0f}H{WIDTH - RIGHT}'/>"
        f"<text x='{LEFT - 6}' y='{y + 4:.0f}' text-anchor='end'>{text}</text>"
        f"<text class='fr-at-end' x='{WIDTH - RIGHT - 4}' y='{y - 3:.0f}' text-anchor='end'>"
        f"{text}</text>"
    )


def plot_html(name: str, label: str, drawn: str, legend: str) -> str:
    """Return a plot with its legend; on a phone it is scrolled, and begins at its newest end.

    Parameters
    ----------
    name
        Id of the element.
    label
        What it shows, for screen readers.
    drawn, legend
        The marks as SVG, and the entries of the legend.
    """
    label = escaped(label)
    return (
        f"<section class='fr-table fr-wide' id='{name}'>"
        f"<div class='fr-plot' tabindex='0' role='region' aria-label='{label}'>"
        f"<svg class='fr-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{label}'>"
        f"{drawn}</svg></div><div class='fr-legend'>{legend}</div></section>"
    )


def legend_svg(colour: str, dashes: str, name: str) -> str:
    """Return the entry of a curve in a legend; `dashes` is "" for a solid line."""
    return (
        f"<span><svg width='26' height='10' aria-hidden='true'><path d='M0 5H26' stroke='{colour}' "
        f"stroke-width='3'{dashed(dashes)}/></svg> {name}</span>"
    )


def dashed(dashes: str) -> str:
    """Return the attribute for dashes; "" for a solid line."""
    return f" stroke-dasharray='{dashes}'" if dashes else ""
