"""Plots of numbers as SVG."""

import xml.etree.ElementTree as ET

import pyarrow as pa
import pytest

from ui.lookups.records import SqlAnswer
from ui.views.plot_svg import answer_svg, periodogram_svg
from ui.views.sql_html import answer_html


def titles_of(svg: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(f"<div>{svg}</div>").iter("title")]


def test_a_periodogram_marks_the_period_that_is_folded() -> None:
    powers = [(0.1, 0.2), (1.0, 0.9), (10.0, 0.1)]
    drawn = periodogram_svg(powers, 1.0)
    assert titles_of(drawn) == ["1 d"]
    assert "power up to 0.90, periods from 0.1 to 10 days" in drawn
    assert all(f">{decade}</text>" in drawn for decade in ("0.1", "1", "10"))
    assert titles_of(periodogram_svg(powers, 99.0)) == []
    assert periodogram_svg(powers[:1], None) == ""
    assert titles_of(periodogram_svg([(0.1, -1.0), (1.0, 0.0)], None)) == []


@pytest.mark.parametrize("value", [0.0, 1e-300, -1e299, 1e299])
def test_an_answer_is_a_point_for_each_row(value: float) -> None:
    nasty = "</text><script>alert(1)</script>"
    drawn = answer_svg((nasty, "mag"), [(1.0, 18.0), (2.0, value), (2.0, value)])
    assert len(titles_of(drawn)) == 3
    assert "<script" not in drawn


def plot_of(**columns: list[object]) -> list[str]:
    """Titles of the points below an answer."""
    answer = SqlAnswer(pa.table(columns), (), cut=False)
    shown = answer_html(answer, "SELECT 1", "file:///archive", "http://127.0.0.1/")
    begins = shown.find("<svg class='fr-curve'")
    return [] if begins < 0 else titles_of(shown[begins : shown.index("</svg>", begins) + 6])


def test_the_second_column_of_numbers_is_drawn_over_the_first() -> None:
    nan, inf = float("nan"), float("inf")
    points = plot_of(name=["a"] * 5, hour=[1, 2, 3, 4, 5], mag=[18.5, None, 20.0, nan, inf])
    assert points == ["1, 18.5", "3, 20"]
    assert plot_of(hour=[1, 2], name=["a", "b"]) == []
    assert plot_of(hour=[1, None], mag=[1.0, 2.0]) == []
