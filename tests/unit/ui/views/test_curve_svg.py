"""Light curves as SVG."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from ui.views.curve_svg import curve_svg, marks_of, small_curve_svg, utc_text


def point(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "detection",
        "band": "g",
        "mjd_tai": 61_100.25,
        "double": False,
        "time_absurd": False,
        "flux_njy": -1000.0,
        "flux_err_njy": 50.0,
        "limit_mag": None,
        "mag": 18.5,
        "mag_err": 0.05,
        "apparent_mag": None,
        "apparent_mag_err": None,
    } | changes


def test_a_curve_is_scrolled_where_the_screen_is_narrow_and_its_frame_has_a_name() -> None:
    drawn = curve_svg([point(), point(mjd_tai=61_101.0)], "difference")
    label = "light curve: 2 points, difference mag over MJD (TAI)"
    assert drawn.startswith(
        f"<div class='fr-plot' tabindex='0' role='region' aria-label='{label}'>"
    )


def test_each_point_is_a_mark_with_band_value_and_both_times() -> None:
    limit = point(kind="limit", band="r", mag=None, flux_njy=None, limit_mag=20.5)
    (mark, open_mark) = marks_of([point(), limit], "difference")
    assert mark.title == (
        "g, detection: 18.500 ± 0.050 mag, fainter than the reference; "
        "MJD 61100.25000, 2026-03-01 05:59:23 UTC"
    )
    assert open_mark.is_limit
    assert open_mark.title.startswith("r, limit: > 20.500 mag")
    assert [mark.y for mark in marks_of([point(), limit], "flux")] == [-1000.0]
    assert marks_of([point()], "apparent") == []
    assert marks_of([point(double=True), point(time_absurd=True)], "flux") == []


def test_a_small_curve_has_detections_alone_and_nothing_but_numbers() -> None:
    bright, faint = point(mag=17.0, mjd_tai=61_100.0), point(mag=19.0, mjd_tai=61_101.0)
    limit = point(kind="limit", mag=None, flux_njy=None, limit_mag=20.5)
    root = ET.fromstring(small_curve_svg([bright, faint, limit, point(band="<script>")]))
    circles = list(root)
    assert len(circles) == 3
    assert float(circles[0].get("cy", "")) < float(circles[1].get("cy", ""))
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "circle"}
    assert list(ET.fromstring(small_curve_svg([]))) == []


def test_a_folded_curve_shows_each_detection_twice() -> None:
    marks = marks_of([point()], "difference", period_days=2.0)
    assert [mark.x for mark in marks] == pytest.approx([0.125, 1.125])


@pytest.mark.parametrize("mjd", [61_100.0, -1e300, 1e300])
def test_the_svg_is_whole_and_hostile_texts_are_escaped(mjd: float) -> None:
    nasty = "<script>alert(1)</script>"
    bands = [point(band=band, mjd_tai=mjd) for band in ("u", "g", "r", "i", "z", "y", nasty, None)]
    shown = curve_svg(bands, "difference")
    root = ET.fromstring(f"<div>{shown}</div>")
    titles = [title.text or "" for title in root.iter("title")]
    assert len(titles) == 8
    assert "<script" not in shown
    assert any(nasty in title for title in titles)
    shapes = {element.tag for element in root.iter() if element.find("title") is not None}
    assert shapes == {"circle", "rect", "polygon"}
    assert curve_svg([], "flux") == ""
    assert utc_text(1e300) == ""
