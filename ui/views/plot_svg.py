"""Plots of numbers as SVG: the power of a periodogram, two columns of an answer. Pure."""

import math
from collections.abc import Sequence

from ui.kit.markup import escaped
from ui.views.axes_svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    axis,
    padded,
    scale,
    scrolled_html,
)


def periodogram_svg(powers: Sequence[tuple[float, float]], period_days: float | None) -> str:
    """Return the power over the period, on a logarithmic axis; "" without powers.

    Parameters
    ----------
    powers
        Period in days and power, by increasing period.
    period_days
        Marked by a line; None marks none.
    """
    if len(powers) < 2:
        return ""
    xs = [math.log10(period) for period, _ in powers]
    highest = max(power for _, power in powers)
    top = max(highest, 0.0) * 1.04 or 1.0
    x_of = scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT)
    y_of = scale(0.0, top, HEIGHT - BOTTOM, TOP)
    path = "L".join(
        f"{x_of(x):.1f} {y_of(power):.1f}" for x, (_, power) in zip(xs, powers, strict=True)
    )
    mark = ""
    if period_days is not None and powers[0][0] <= period_days <= powers[-1][0]:
        at = x_of(math.log10(period_days))
        mark = (
            f"<path class='fr-chosen' d='M{at:.1f} {TOP}V{HEIGHT - BOTTOM}'>"
            f"<title>{period_days:.8g} d</title></path>"
        )
    decades = range(math.ceil(xs[0]), math.floor(xs[-1]) + 1)
    lines = "".join(
        f"<path class='fr-line' d='M{x_of(decade):.1f} {TOP}V{HEIGHT - BOTTOM}'/>"
        f"<text x='{x_of(decade):.1f}' y='{HEIGHT - 22}' text-anchor='middle'>"
        f"{10.0**decade:g}</text>"
        for decade in decades
    )
    label = (
        f"periodogram: power up to {highest:.2f}, periods from {powers[0][0]:.3g} to "
        f"{powers[-1][0]:.3g} days"
    )
    return _plot(
        label,
        f"{lines}{''.join(axis((0.0, top), y_of, horizontal=False))}"
        f"<path class='fr-stroke' d='M{path}'/>{mark}{_x_label('period, days')}{_y_label('power')}",
    )


def answer_svg(names: tuple[str, str], rows: Sequence[tuple[float, float]]) -> str:
    """Return one column of numbers over another as points; "" with fewer than two.

    Parameters
    ----------
    names
        Of the columns: that of the horizontal axis, then the other.
    rows
        Their values, all finite.
    """
    if len(rows) < 2:
        return ""
    x_ends = padded(min(x for x, _ in rows), max(x for x, _ in rows))
    y_ends = padded(min(y for _, y in rows), max(y for _, y in rows))
    x_of = scale(*x_ends, LEFT, WIDTH - RIGHT)
    y_of = scale(*y_ends, HEIGHT - BOTTOM, TOP)
    marks = "".join(
        f"<circle class='fr-mark' cx='{x_of(x):.1f}' cy='{y_of(y):.1f}' r='3'>"
        f"<title>{x:.8g}, {y:.8g}</title></circle>"
        for x, y in rows
    )
    label = escaped(f"{names[1]} over {names[0]}: {len(rows)} rows")
    return _plot(
        label,
        f"{''.join(axis(x_ends, x_of, horizontal=True))}"
        f"{''.join(axis(y_ends, y_of, horizontal=False))}{marks}"
        f"{_x_label(names[0])}{_y_label(names[1])}",
    )


def _plot(label: str, drawn: str) -> str:
    svg = f"<svg class='fr-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{label}'>"
    return scrolled_html(f"{svg}{drawn}</svg>", label)


def _x_label(text: str) -> str:
    return (
        f"<text x='{(LEFT + WIDTH) / 2:.0f}' y='{HEIGHT - 6}' text-anchor='middle'>"
        f"{escaped(text)}</text>"
    )


def _y_label(text: str) -> str:
    middle = HEIGHT / 2
    return (
        f"<text x='14' y='{middle:.0f}' text-anchor='middle' "
        f"transform='rotate(-90 14 {middle:.0f})'>{escaped(text)}</text>"
    )
