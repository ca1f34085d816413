"""Draw the axes of plots as SVG."""

import math
from collections.abc import Callable, Iterable
from typing import Final

WIDTH, HEIGHT = 760, 330
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 14, 40

_MOST_TICKS: Final = 20


def padded(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis, a little beyond the lowest and the highest value."""
    pad = max(0.04 * (high - low), 1e-9 * abs(low)) or 0.5
    return low - pad, high + pad


def scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """Return the function that maps values from `low` to `high` to pixels `first` to `last`."""
    return lambda value: first + (value - low) / (high - low) * (last - first)


def axis(
    ends: tuple[float, float], to_pixel: Callable[[float], float], *, horizontal: bool
) -> Iterable[str]:
    """Yield lines and labels of an axis, from its ends and the function that `scale` returns."""
    step, digits = _step(ends[1] - ends[0])
    first = math.ceil(ends[0] / step)
    for number in range(_MOST_TICKS):
        value = (first + number) * step
        if value > ends[1]:
            break
        at, text = to_pixel(value), f"{value:.{digits}f}"
        if horizontal:
            yield f"<path class='fr-line' d='M{at:.1f} {TOP}V{HEIGHT - BOTTOM}'/>"
            yield f"<text x='{at:.1f}' y='{HEIGHT - 22}' text-anchor='middle'>{text}</text>"
        else:
            yield f"<path class='fr-line' d='M{LEFT} {at:.1f}H{WIDTH - RIGHT}'/>"
            yield f"<text x='{LEFT - 6}' y='{at + 4:.1f}' text-anchor='end'>{text}</text>"


def scrolled_html(svg: str, label: str) -> str:
    """Return a plot that scrolls where the screen is too narrow for it.

    Parameters
    ----------
    svg
        The plot.
    label
        What it shows, escaped.
    """
    return f"<div class='fr-plot' tabindex='0' role='region' aria-label='{label}'>{svg}</div>"


def _step(extent: float) -> tuple[float, int]:
    """Return a round step that gives about six ticks, and the digits that it needs."""
    raw = extent / 6
    power = math.floor(math.log10(raw))
    step = next(f * 10.0**power for f in (1, 2, 5, 10) if f * 10.0**power >= raw)
    return step, max(0, -math.floor(math.log10(step)))
