"""Names have ZTF's form, and no two objects share one."""

from hypothesis import given
from hypothesis import strategies as st

from sim.ztf.names import asteroid_name, object_name

SERIAL = st.integers(0, 26**7 // 2 - 1)
JD_2026 = 2_461_059.6


@given(SERIAL)
def test_the_form_is_ztf_year_letters(serial: int) -> None:
    name = object_name(serial, JD_2026)
    assert name[:5] == "ZTF26"
    assert len(name) == 12
    assert name[5:].isalpha()
    assert name[5:].islower()


@given(SERIAL, SERIAL)
def test_names_are_one_to_one(one: int, other: int) -> None:
    assert (object_name(one, JD_2026) == object_name(other, JD_2026)) == (one == other)
    assert object_name(one, JD_2026) != asteroid_name(other, JD_2026)


def test_the_year_is_that_of_the_first_detection() -> None:
    assert object_name(1, 2_458_200.0)[:5] == "ZTF18"
    assert object_name(1, 2_458_849.6)[:5] == "ZTF20"
