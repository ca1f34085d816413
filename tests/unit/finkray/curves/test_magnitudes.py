"""Magnitudes are of what was measured, and the status says why one is missing."""

import math
from typing import Any

import pytest

from finkray.curves.magnitudes import STATUSES
from finkray.curves.rules import curve_points
from tests.support.curve_alerts import (
    lsst_alert,
    lsst_source,
    lsst_table,
    ztf_alert,
    ztf_detection,
    ztf_forced,
    ztf_table,
)

REFERENCE = {"distnr": 0.5, "magnr": 17.0, "sigmagnr": 0.05}


def first(*alerts: dict[str, Any]) -> dict[str, Any]:
    """The first point of alerts of ZTF."""
    return curve_points(ztf_table(*alerts)).to_pylist()[0]


@pytest.mark.parametrize(("sign", "spelling"), [(1, "t"), (1, "1"), (-1, "f"), (-1, "0")])
def test_reference_and_difference_are_added_with_both_errors(sign: int, spelling: str) -> None:
    point = first(ztf_alert(ztf_detection(1, isdiffpos=spelling, **REFERENCE)))
    reference, difference = 10 ** (-0.4 * 17.0), 10 ** (-0.4 * 18.0)
    total = reference + sign * difference
    assert point["apparent_status"] == "ok"
    assert point["apparent_mag"] == pytest.approx(-2.5 * math.log10(total), abs=1e-6)
    error = math.hypot(difference * 0.1, reference * 0.05) / total
    assert point["apparent_mag_err"] == pytest.approx(error, rel=1e-5)
    assert (point["mag"], point["mag_err"]) == (pytest.approx(18.0), pytest.approx(0.1))
    assert math.copysign(1, point["flux_njy"]) == sign


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({**REFERENCE, "distnr": 1.39}, "reference_far"),  # pixels of 1.01 arcsec
        ({**REFERENCE, "distnr": 1.38}, "ok"),
        ({**REFERENCE, "distnr": -999.0}, "no_reference"),
        ({**REFERENCE, "magnr": -999.0}, "no_reference"),
        ({}, "no_reference"),
        ({**REFERENCE, "isdiffpos": "f", "magpsf": 16.9}, "not_positive"),
    ],
)
def test_the_status_says_why_there_is_no_apparent_magnitude(
    fields: dict[str, Any], status: str
) -> None:
    point = first(ztf_alert(ztf_detection(1, **fields)))
    assert point["apparent_status"] == status
    assert status in STATUSES
    assert (point["apparent_mag"] is None) == (status != "ok")
    assert (point["apparent_mag_err"] is None) == (status != "ok")


def test_forced_photometry_has_the_distance_in_arcsec_and_needs_its_reference_too() -> None:
    forced = [ztf_forced(1, 500.0, **{**REFERENCE, "distnr": 1.4})]
    point = first(ztf_alert(ztf_detection(2), forced=forced))
    assert (point["kind"], point["apparent_status"]) == ("forced", "ok")
    assert point["apparent_mag"] == pytest.approx(
        31.4 - 2.5 * math.log10(500.0 + 10 ** (0.4 * 14.4)), abs=1e-6
    )


def test_each_point_has_the_reference_of_its_own_field_and_channel() -> None:
    here, there = {"field": 500, "rcid": 3}, {"field": 501, "rcid": 60}
    points = curve_points(
        ztf_table(
            ztf_alert(
                ztf_detection(2, **REFERENCE, **here),
                ztf_detection(1, **{**REFERENCE, "magnr": 17.25}, **there),
            )
        )
    ).to_pylist()
    assert [(each["ref_mag"], each["field"], each["rcid"], each["fid"]) for each in points] == [
        (17.25, 501, 60, 1),
        (17.0, 500, 3, 1),
    ]


def test_an_object_with_and_without_apparent_magnitudes_is_marked_by_band() -> None:
    alerts = [
        ztf_alert(ztf_detection(1, **REFERENCE)),
        ztf_alert(ztf_detection(2, **{**REFERENCE, "distnr": 2.0})),
        ztf_alert(ztf_detection(3, fid=2, **REFERENCE)),
    ]
    points = curve_points(ztf_table(*alerts)).to_pylist()
    assert [each["apparent_mixed"] for each in points] == [True, True, False]


@pytest.mark.parametrize(("flux", "has_magnitude"), [(151.0, True), (-151.0, True), (149.0, False)])
def test_lsst_has_a_magnitude_above_three_sigma_only(flux: float, has_magnitude: bool) -> None:
    (point,) = curve_points(lsst_table(lsst_alert(lsst_source(1, psfFlux=flux)))).to_pylist()
    assert (point["mag"] is not None) == has_magnitude
    assert (point["flux_njy"], point["apparent_status"]) == (flux, "no_reference")
