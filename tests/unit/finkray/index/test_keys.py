"""Keys of object ids: exact for ZTF and LSST, and never confused for other names."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from finkray.index.keys import is_hashed, keys_of, keys_of_names, keys_of_numbers, name_of

ztf_names = st.from_regex(r"ZTF[0-9]{2}[a-z]{7}", fullmatch=True)
lsst_ids = st.integers(1, 2**63 - 1)


@given(st.lists(st.one_of(ztf_names, lsst_ids.map(str)), min_size=1))
def test_a_name_of_ztf_and_an_id_of_lsst_are_their_keys(names: list[str]) -> None:
    keys = keys_of(names)
    assert [name_of(key) for key in keys.tolist()] == names
    assert not is_hashed(keys).any()


@given(st.lists(lsst_ids))
def test_a_number_and_its_text_have_one_key(ids: list[int]) -> None:
    assert keys_of_numbers(pa.array(ids, pa.int64())).tolist() == ids == keys_of(ids).tolist()


@given(st.text(min_size=1).filter(lambda text: text.strip() == text))
def test_any_other_name_has_a_key_of_its_own_range(name: str) -> None:
    (key,) = keys_of([name]).tolist()
    if name_of(key) is None:
        assert key < -(2**40)
    else:
        assert name_of(key) == name


def test_what_is_no_id_has_no_key() -> None:
    assert keys_of_names(pa.array([None, ""])).tolist() == [0, 0]
    assert keys_of_numbers(pa.array([None, 0, -5], pa.int64())).tolist() == [0, 0, 0]
    assert name_of(0) is None
    assert is_hashed(keys_of(["0", "007", "ztf18abcdefg", str(2**63)])).all()
