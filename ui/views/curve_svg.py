"""A light curve as SVG: drawn on the server, once; bands differ in colour and in shape."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

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

Quantity = Literal["difference", "apparent", "flux"]

QUANTITIES: Final[tuple[Quantity, ...]] = ("difference", "apparent", "flux")

MOST_POINTS: Final = 4000
"""The newest are drawn; a download has all. 4 000 are 0.4 MB."""

BAND_COLOUR: Final = {
    "u": "#7a4fd0",
    "g": "#2f8f5b",
    "r": "#d05a2f",
    "i": "#a8456f",
    "z": "#6b6b75",
    "y": "#b0861e",
}

_SMALL_WIDTH, _SMALL_HEIGHT, _SMALL_POINTS = 120, 40, 300

UNIX_EPOCH_MJD: Final = 40_587.0
_TAI_MINUS_UTC_S: Final = 37.0

_SHAPE: Final[dict[str, Callable[[float, float, float], str]]] = {
    "u": lambda x, y, r: _polygon(x, y, r, 6),
    "g": lambda x, y, r: f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r:.1f}'",
    "r": lambda x, y, r: (
        f"<rect x='{x - r:.1f}' y='{y - r:.1f}' width='{2 * r:.1f}' height='{2 * r:.1f}'"
    ),
    "i": lambda x, y, r: _polygon(x, y, 1.3 * r, 4),
    "z": lambda x, y, r: _polygon(x, y, 1.3 * r, 3),
    "y": lambda x, y, r: _polygon(x, y, 1.2 * r, 5),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark: where, with which error, of which band; a limit is an open triangle."""

    x: float
    y: float
    error: float | None
    band: str
    is_limit: bool
    is_forced: bool
    title: str


def marks_of(
    points: Iterable[dict[str, Any]], quantity: Quantity, period_days: float | None = None
) -> list[Mark]:
    """Return the marks of a light curve; with a period over the phase, from 0 to 2.

    Parameters
    ----------
    points
        Rows of `finkray.curves.schema.POINT`; doubles and absurd times are left out.
    quantity
        What is drawn.
    period_days
        None draws over time.
    """
    marks = []
    for point in points:
        mjd = point["mjd_tai"]
        if mjd is None or point["double"] or point["time_absurd"]:
            continue
        value, error, is_limit = _value(point, quantity)
        if value is None or not math.isfinite(value):
            continue
        if period_days is not None and is_limit:
            continue
        if error is not None and not math.isfinite(error):
            error = None
        title = _title(point, quantity, value, error, is_limit=is_limit)
        band, forced = point["band"] or "", point["kind"] == "forced"
        xs = [mjd]
        if period_days is not None:
            phase = mjd / period_days % 1.0
            xs = [phase, phase + 1.0]
        marks += [Mark(x, value, error, band, is_limit, forced, title) for x in xs]
    return marks[-MOST_POINTS:]


def curve_svg(
    points: Iterable[dict[str, Any]], quantity: Quantity, period_days: float | None = None
) -> str:
    """Return the light curve as SVG with a legend and a title at each mark; "" without a point."""
    marks = marks_of(points, quantity, period_days)
    if not marks:
        return ""
    upward = quantity == "flux"
    xs = [mark.x for mark in marks]
    lows = [mark.y - (mark.error or 0) for mark in marks]
    highs = [mark.y + (mark.error or 0) for mark in marks]
    x_of = scale(*padded(min(xs), max(xs)), LEFT, WIDTH - RIGHT)
    low, high = padded(min(lows), max(highs))
    bottom, top = HEIGHT - BOTTOM, TOP
    y_of = scale(low, high, bottom, top) if upward else scale(low, high, top, bottom)
    x_label = "MJD (TAI)" if period_days is None else f"phase, period {period_days:.6g} d"
    y_label = {"difference": "difference mag", "apparent": "apparent mag", "flux": "flux, nJy"}
    label = escaped(f"light curve: {len(marks)} points, {y_label[quantity]} over {x_label}")
    parts = [
        f"<svg class='fr-curve' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{label}'>",
        *axis(padded(min(xs), max(xs)), x_of, horizontal=True),
        *axis((low, high), y_of, horizontal=False),
        (
            f"<text x='{(LEFT + WIDTH) / 2:.0f}' y='{HEIGHT - 6}' text-anchor='middle'>"
            f"{escaped(x_label)}</text>"
        ),
        (
            f"<text x='14' y='{HEIGHT / 2:.0f}' text-anchor='middle' "
            f"transform='rotate(-90 14 {HEIGHT / 2:.0f})'>{y_label[quantity]}</text>"
        ),
        *(_mark(mark, x_of, y_of) for mark in marks),
        "</svg>",
    ]
    return scrolled_html("".join(parts), label) + _legend(marks)


def small_curve_svg(points: Iterable[dict[str, Any]]) -> str:
    """Return the detections as a picture of its own, for a list: no axes, up is bright.

    It has numbers and colours alone, so that it is safe to open by itself.
    """
    marks = [mark for mark in marks_of(points, "difference") if not mark.is_limit]
    if not marks:
        marks = marks_of(points, "flux")
        place = [mark.y for mark in marks]
    else:
        place = [-mark.y for mark in marks]
    drawn = ""
    if marks:
        x_of = scale(*padded(min(m.x for m in marks), max(m.x for m in marks)), 3, _SMALL_WIDTH - 3)
        y_of = scale(*padded(min(place), max(place)), _SMALL_HEIGHT - 3, 3)
        drawn = "".join(
            f"<circle cx='{x_of(mark.x):.1f}' cy='{y_of(y):.1f}' r='2' "
            f"fill='{BAND_COLOUR.get(mark.band, '#777777')}'/>"
            for mark, y in zip(marks[-_SMALL_POINTS:], place[-_SMALL_POINTS:], strict=True)
        )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT}' "
        f"width='{_SMALL_WIDTH}' height='{_SMALL_HEIGHT}'>{drawn}</svg>"
    )


def utc_text(mjd_tai: float) -> str:
    """Return an MJD (TAI) as UTC to the second; "" outside the years 1 to 9999."""
    seconds = (mjd_tai - UNIX_EPOCH_MJD) * 86_400 - _TAI_MINUS_UTC_S
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return ""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _value(point: dict[str, Any], quantity: Quantity) -> tuple[float | None, float | None, bool]:
    if quantity == "flux":
        return point["flux_njy"], point["flux_err_njy"], False
    if point["kind"] == "limit":
        return point["limit_mag"], None, True
    name = "mag" if quantity == "difference" else "apparent_mag"
    return point[name], point[f"{name}_err"], False


def _title(
    point: dict[str, Any], quantity: Quantity, value: float, error: float | None, *, is_limit: bool
) -> str:
    digits = 1 if quantity == "flux" else 3
    unit = "nJy" if quantity == "flux" else "mag"
    value_text = f"{'> ' if is_limit else ''}{value:.{digits}f}"
    if error is not None:
        value_text += f" ± {error:.{digits}f}"
    negative = quantity == "difference" and (point["flux_njy"] or 0) < 0
    return (
        f"{point['band'] or '?'}, {point['kind']}: {value_text} {unit}"
        f"{', fainter than the reference' if negative else ''}; "
        f"MJD {point['mjd_tai']:.5f}, {utc_text(point['mjd_tai'])}"
    )


def _mark(mark: Mark, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    x, y = x_of(mark.x), y_of(mark.y)
    colour = BAND_COLOUR.get(mark.band, "#777777")
    title = f"<title>{escaped(mark.title)}</title>"
    if mark.is_limit:
        corners = f"{x - 4:.1f},{y - 3:.1f} {x + 4:.1f},{y - 3:.1f} {x:.1f},{y + 5:.1f}"
        return (
            f"<polygon points='{corners}' fill='none' stroke='{colour}' opacity='0.6'>{title}"
            "</polygon>"
        )
    bar = ""
    if mark.error:
        high, low = y_of(mark.y + mark.error), y_of(mark.y - mark.error)
        bar = f"<path d='M{x:.1f} {high:.1f}V{low:.1f}' stroke='{colour}' opacity='0.55'/>"
    shape = _SHAPE.get(mark.band, _SHAPE["g"])(x, y, 2.4 if mark.is_forced else 3.8)
    fill = f"fill='none' stroke='{colour}'" if mark.is_forced else f"fill='{colour}'"
    name = shape[1 : shape.index(" ")]
    return f"{bar}{shape} {fill}>{title}</{name}>"


def _legend(marks: Sequence[Mark]) -> str:
    items = []
    for band in BAND_COLOUR:
        if any(mark.band == band for mark in marks):
            shape = _SHAPE[band](7, 7, 4)
            items.append(
                f"<span><svg width='14' height='14' aria-hidden='true'>{shape} "
                f"fill='{BAND_COLOUR[band]}'/></svg> {band}</span>"
            )
    if any(mark.is_limit for mark in marks):
        items.append("<span>▽ limit, 5 sigma</span>")
    if any(mark.is_forced for mark in marks):
        items.append("<span>open: forced photometry</span>")
    return f"<div class='fr-legend'>{''.join(items)}</div>"


def _polygon(x: float, y: float, radius: float, corners: int) -> str:
    turns = [math.tau * n / corners - math.tau / 4 for n in range(corners)]
    points = " ".join(
        f"{x + radius * math.cos(turn):.1f},{y + radius * math.sin(turn):.1f}" for turn in turns
    )
    return f"<polygon points='{points}'"
