"""What the search box understands."""

import pytest

from ui.views.query import Circle, galactic_latitude_deg, parse_query, sexagesimal


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" ZTF20abfcszi ", "ZTF20abfcszi"),
        ("541294366115010020", "541294366115010020"),
        ("150.1 2.2", Circle(150.1, 2.2, 10.0)),
        ("150.1, -2.2, 30", Circle(150.1, -2.2, 30.0)),
        ("10:00:24 +02:12:00", Circle(150.1, 2.2, 10.0)),
        ("10 00 24 -00 12 00 5", Circle(150.1, -0.2, 5.0)),
        ("10h00m24s +02d12m00s", Circle(150.1, 2.2, 10.0)),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_ids_and_positions_are_told_apart(text: str, found: Circle | str) -> None:
    parsed = parse_query(text)
    if isinstance(found, str):
        assert parsed == found
    else:
        assert isinstance(parsed, Circle)
        assert parsed.ra_deg == pytest.approx(found.ra_deg)
        assert parsed.dec_deg == pytest.approx(found.dec_deg)
        assert parsed.radius_arcsec == found.radius_arcsec


@pytest.mark.parametrize(
    "text", ["", "x" * 101, "400 2", "10 95", "10 20 0", "10 20 90000", "1 2 3 4", "10 61 0 1 0 0"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_query(text)


def test_positions_are_written_back() -> None:
    assert sexagesimal(150.1, -0.2) == "10:00:24.00 -00:12:00.0"
    assert sexagesimal(359.9999999, 2.2) == "00:00:00.00 +02:12:00.0"
    assert galactic_latitude_deg(192.85948, 27.12825) == pytest.approx(90, abs=0.001)
    assert galactic_latitude_deg(266.405, -28.936) == pytest.approx(0, abs=0.01)
