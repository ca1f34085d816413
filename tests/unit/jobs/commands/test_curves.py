"""What `finkray lightcurve` and `cone` show on a terminal of 80 columns."""

import io
from typing import Any

import pyarrow as pa
from rich.console import Console, RenderableType

from finkray.curves.reading import OBJECT
from finkray.curves.schema import POINT
from jobs.commands.curves import cone_text, curve_text

POINTS: list[dict[str, Any]] = [
    {
        "mjd_tai": 58994.123456,
        "band": "g",
        "kind": "detection",
        "flux_njy": -123456.7,
        "flux_err_njy": 1234.5,
        "apparent_mag": 17.345,
        "apparent_mag_err": 0.023,
        "apparent_status": "reference_far",
        "double": True,
    },
    {"mjd_tai": 58995.5, "band": "r", "kind": "limit", "limit_mag": 20.5},
]

OBJECTS: list[dict[str, Any]] = [
    {
        "object_id": "169355936030359646",
        "survey": "lsst",
        "separation_arcsec": 12.34,
        "ra_deg": 277.876123,
        "dec_deg": -37.527123,
        "alerts": 1234,
        "first_mjd_tai": 58994.12,
        "last_mjd_tai": 60994.12,
    }
]


def lines(shown: RenderableType) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(shown)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_point_stands_on_one_line_and_no_number_is_cut() -> None:
    nothing = {"time_absurd": False, "double": False, "apparent_status": "no_flux"}
    table = pa.Table.from_pylist([{**nothing, **point} for point in POINTS], POINT)
    head, first, more, second, count = lines(curve_text(table))
    assert head.split()[:4] == ["MJD", "(TAI)", "band", "kind"]
    numbers = ["58994.12346", "g", "detection", "-123456.7", "1234.5", "17.345", "0.023"]
    assert first.split() == [*numbers, "double,"]
    assert more.split() == ["reference_far"]
    assert second.split() == ["58995.50000", "r", "limit", "20.50"]
    assert count == "2 points: 1 detection, 1 limit"


def test_an_object_of_a_cone_stands_on_one_line_with_its_whole_id() -> None:
    _, row = lines(cone_text(pa.Table.from_pylist(OBJECTS, OBJECT)))
    assert row.split() == [
        *("169355936030359646", "lsst", "12.34", "277.87612", "-37.52712"),
        *("1234", "58994.12", "60994.12"),
    ]
    assert lines(cone_text(OBJECT.empty_table())) == [
        "no object has an alert in this circle: try a larger radius"
    ]
