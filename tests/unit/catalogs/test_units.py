import pytest
from astropy import units
from hypothesis import given
from hypothesis import strategies as st

from catalogs.units import factor, is_same, read_unit, says_nothing
from tests.support.made_catalogs import ANGLES

MOTIONS = {
    "mas/yr": ("mas/yr", "MAS/YR", "mas / year", "mas yr-1", "mas.yr-1", "mas yr**-1", "mas yr^-1",
               "mas*yr**(-1)", "mas/a", "milliarcsec per year", "[mas/yr]", "mas yr⁻¹"),
    "arcsec/yr": ("arcsec/yr", '"/yr', "arcseconds/year", "asec yr-1"),
    "0.01 arcsec/yr": ("arcsec/century", "arcsec/cy"),
    "0.1 mas/yr": ("0.1mas/yr", "0.1 mas/yr"),
    "deg/yr": ("deg/yr", "degrees/year", "deg.yr-1"),
    "mas/day": ("mas/day", "mas/d"),
}  # fmt: skip


@pytest.mark.parametrize(("unit", "texts"), ANGLES.items())
def test_every_spelling_of_an_angle_is_that_angle(unit: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        read = read_unit(text, "deg")
        assert read is not None, text
        assert factor(read, "deg") == pytest.approx(units.Unit(unit).to(units.deg), rel=1e-12), text


@pytest.mark.parametrize(("unit", "texts"), MOTIONS.items())
def test_every_spelling_of_a_motion_is_that_motion(unit: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        read = read_unit(text, "mas/yr")
        assert read is not None, text
        right = units.Unit(unit).to(units.Unit("mas/yr"))
        assert factor(read, "mas/yr") == pytest.approx(right, rel=1e-12), text


@pytest.mark.parametrize(
    "text", ["furlong", "D", "s", "min", "mag", "h:m:s", "deg/yr", "pc", "?", "unknown"]
)
def test_what_is_no_angle_is_none(text: str) -> None:
    assert read_unit(text, "deg") is None


@pytest.mark.parametrize("text", ["mas", "yr", "km/s", "mas/furlong", "deg deg", "1/yr", "h"])
def test_what_is_no_motion_is_none(text: str) -> None:
    assert read_unit(text, "mas/yr") is None


def test_a_file_may_say_nothing() -> None:
    assert all(says_nothing(text) for text in ("", " ", "-", "---", "none", "NULL"))
    assert not says_nothing("deg")


@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_none(text: str) -> None:
    for like in ("deg", "mas/yr"):
        unit = read_unit(text, like)
        assert unit is None or is_same(unit, unit)


@given(st.sampled_from(sorted(ANGLES)), st.sampled_from(sorted(ANGLES)), st.data())
def test_units_agree_just_if_they_are_the_same(one: str, other: str, data: st.DataObject) -> None:
    first = read_unit(data.draw(st.sampled_from(ANGLES[one])), "deg")
    second = read_unit(data.draw(st.sampled_from(ANGLES[other])), "deg")
    assert is_same(first, second) == (one == other)
