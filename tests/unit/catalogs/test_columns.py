"""The rules for columns, over all formats: one type, one meaning of missing, nothing changed."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalogs.columns import carried, carried_type, common_type
from finkray.errors import CatalogError
from tests.support.made_catalogs import rows_of

UTC = dt.UTC
DAY = dt.datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (pa.array([1.5, float("nan"), None]), [1.5, None, None]),
        (pa.array([1.5, float("nan"), None]).cast(pa.float32()), [1.5, None, None]),
        (pa.array(np.array([1.5, 2.5], "f2")), [1.5, 2.5]),
        (pa.array(["a ", " ", None]), ["a", None, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array(["a", None]).cast(pa.large_string()), ["a", None]),
        (pa.array(["a", None]).cast(pa.string_view()), ["a", None]),
        (pa.array([b"ab", None]), ["ab", None]),
        (pa.array([b"ab", b"cd"], pa.binary(2)), ["ab", "cd"]),
        (pa.array([[1.0, float("nan")], None, []]), ["[1.0, null]", None, "[]"]),
        (pa.array([["a", None]]), ['["a", null]']),
        (pa.array([{"a": 1, "b": {"c": [b"x"]}}]), ['{"a": 1, "b": {"c": ["x"]}}']),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int32())), ['[["a", 1]]']),
        (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), ["[1, 2]"]),
        (pa.array([DAY], pa.timestamp("us", "Europe/Paris")), [DAY]),
        (pa.array([1, None], pa.duration("s")), ["1 s", None]),
        (pa.array([True, None]), [True, None]),
        (pa.array([Decimal("1.50"), None]), [Decimal("1.50"), None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([dt.date(2026, 11, 24)], pa.date64()), [dt.date(2026, 11, 24)]),
        (pa.nulls(2), [None, None]),
        (pa.array([1, 1, 2]).dictionary_encode(), [1, 1, 2]),
    ],
)
def test_a_column_of_any_type_is_carried(values: pa.Array, read: list[Any]) -> None:
    kind = common_type([carried_type("x", values.type, is_id=False)])
    assert carried("x", pa.chunked_array([values]), kind).to_pylist() == read


@pytest.mark.parametrize(
    "values", [pa.array([b"\xff\xfe"]), pa.array([[b"\xff"]]), pa.array([{"a": b"\xff"}])]
)
def test_bytes_that_are_no_text_are_refused(values: pa.Array) -> None:
    kind = carried_type("x", values.type, is_id=False)
    with pytest.raises(CatalogError, match="column x: holds bytes that are no text"):
        carried("x", pa.chunked_array([values]), kind)


KINDS = [
    pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(),
    pa.float32(), pa.float64(), pa.decimal128(9, 3), pa.decimal128(38, 0), pa.string(),
    pa.date32(), pa.timestamp("s"), pa.timestamp("us", "UTC"),
]  # fmt: skip


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), st.randoms())
@example([pa.int8(), pa.decimal128(9, 3), pa.decimal128(38, 0)], Random(0))
def test_the_order_of_the_parts_does_not_matter(kinds: list[pa.DataType], random: Any) -> None:
    other = list(kinds)
    random.shuffle(other)
    united = common_type(kinds)
    assert common_type([*kinds, *kinds]) == united
    if all(pa.types.is_integer(kind) or pa.types.is_null(kind) for kind in kinds):
        assert common_type(other) == united


@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.data())
def test_what_two_parts_are_united_in_holds_the_values_of_both_or_says_that_it_does_not(
    one: pa.DataType, other: pa.DataType, data: st.DataObject
) -> None:
    united = common_type([one, other])
    for kind in (one, other):
        if not pa.types.is_integer(kind):
            continue
        width = kind.bit_width
        low, high = (
            (0, 2**width) if str(kind).startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1))
        )
        number = data.draw(st.integers(low, high - 1))
        values = pa.chunked_array([pa.array([number], kind)])
        try:
            read = carried("x", values, united).to_pylist()
        except CatalogError:
            continue
        assert [int(value) for value in read] == [number]


def to_parquet(columns: dict[str, list[Any]], path: Path) -> None:
    pq.write_table(pa.table(columns), path)


def to_csv(columns: dict[str, list[Any]], path: Path) -> None:
    pa.csv.write_csv(pa.table(columns), path)


def as_table(columns: dict[str, list[Any]]) -> Table:
    table = Table()
    for name, values in columns.items():
        filler = next((value for value in values if value is not None), 0)
        plain = np.array([filler if value is None else value for value in values])
        mask = [value is None for value in values]
        table[name] = MaskedColumn(plain, mask=mask) if any(mask) else plain
    return table


def to_fits(columns: dict[str, list[Any]], path: Path) -> None:
    as_table(columns).write(path, format="fits", overwrite=True)


def to_votable(columns: dict[str, list[Any]], path: Path) -> None:
    as_table(columns).write(path, format="votable", overwrite=True)


WRITERS: dict[str, Callable[[dict[str, list[Any]], Path], None]] = {
    "rows.parquet": to_parquet,
    "rows.csv": to_csv,
    "rows.fits": to_fits,
    "rows.vot": to_votable,
}
# Names, not numbers: a text of digits alone is a number in CSV.
TEXTS = st.text("abcdefXYZ*+-_.", min_size=1, max_size=9).filter(
    lambda text: text.strip("-.") not in ("", "e") and text not in ("--",)
)
VALUES = {
    "integers": st.integers(-(2**31), 2**31 - 1),
    "long integers": st.integers(-(2**63), 2**63 - 1).filter(lambda number: number != 999999),
    "doubles": st.floats(allow_nan=False, allow_infinity=False, width=64).map(lambda x: x + 0.0),
    "texts": TEXTS,
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(sorted(WRITERS)), st.sampled_from(sorted(VALUES)), st.data())
def test_a_table_comes_back_from_every_format_as_it_was_written(
    tmp_path: Path, name: str, kind: str, data: st.DataObject
) -> None:
    some = data.draw(st.lists(VALUES[kind], min_size=1, max_size=6))
    values: list[Any] = data.draw(
        st.lists(st.one_of(st.none(), st.sampled_from(some)), min_size=2, max_size=9)
    )
    values = [*values, some[0]]
    count = len(values)
    place = {"ra": np.linspace(10, 20, count).tolist(), "dec": np.linspace(-5, 5, count).tolist()}
    WRITERS[name]({"ra": place["ra"], "dec": place["dec"], "x": values}, tmp_path / name)
    read = rows_of(tmp_path / name, ("x",))
    assert [row["ra"] for row in read] == place["ra"]
    assert [row["x"] for row in read] == values, (name, kind)
    assert {type(row["x"]) for row in read if row["x"] is not None} <= {int, float, str}
