"""The curves of latency on the first page."""

import re
from collections.abc import Sequence
from datetime import timedelta

from finkray.status.archive import Stage
from tests.support.snapshots import NIGHT
from ui.history import LatencyPoint
from ui.views.latency_svg import CURVES, latency_svg

STEP = timedelta(seconds=10)


def drawn(values: Sequence[dict[Stage, float]]) -> str:
    """The curves of points ten seconds apart, the last at `NIGHT`."""
    begin = NIGHT - STEP * (len(values) - 1)
    points = [LatencyPoint(begin + STEP * n, value) for n, value in enumerate(values)]
    return latency_svg(points, begin, NIGHT, 3 * STEP)


def durable_path(svg: str) -> str:
    return re.findall(r"mark-line'><path d='([^']*)'", svg)[list(CURVES).index("durable")]


def line_y(svg: str) -> int:
    (found,) = re.findall(r"fr-limit' d='M\d+ (\d+)H", svg)
    return int(found)


def test_each_stage_has_its_curve_and_the_line_of_60_s_divides_them() -> None:
    svg = drawn([{"polled": 0.1, "decoded": 1.0, "durable": 59.0}, {"durable": 61.0}])
    assert svg.count("mark-line") == len(CURVES) == 3
    ys = [int(y) for y in re.findall(r"[ML]\d+ (\d+)", durable_path(svg))]
    assert ys[0] >= line_y(svg) >= ys[1]  # upwards is later
    assert ">60 s</text>" in svg


def test_what_no_alert_reached_is_a_gap_and_not_zero() -> None:
    svg = drawn([{"durable": 2.0}, {"durable": 2.0}, {}, {"durable": 2.0}])
    assert re.sub(r"[\d ]", "", durable_path(svg)) == "MhLMh"
    assert drawn([{}, {}]) == latency_svg([], NIGHT - STEP, NIGHT, STEP) == ""


def test_a_page_that_heard_nothing_for_a_while_has_a_gap() -> None:
    points = [
        LatencyPoint(NIGHT - 10 * STEP, {"durable": 1.0}),
        LatencyPoint(NIGHT, {"durable": 1}),
    ]
    svg = latency_svg(points, NIGHT - 20 * STEP, NIGHT, 3 * STEP)
    assert durable_path(svg).count("M") == 2
    assert "known since 2026-11-24 03:11:05 UTC" in svg


def test_a_latency_of_hours_stays_on_the_plot_and_one_below_the_axis_at_its_foot() -> None:
    svg = drawn([{"durable": 30_000.0}, {"durable": -1.0}])
    ys = [int(y) for y in re.findall(r"[ML]\d+ (\d+)", durable_path(svg))]
    assert 12 <= ys[0] < line_y(svg)
    assert ys[1] == 260 - 34
