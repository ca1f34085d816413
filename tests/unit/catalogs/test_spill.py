import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalogs.duplicates import DuplicateFinder
from catalogs.spill import Spill


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30),
    st.sampled_from([1, 100, 10_000]),
)
def test_rows_come_back_by_key_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int]], held_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("spill") / "here"
    spill: Spill[int] = Spill(folder, held_bytes)
    expected: dict[int, list[int]] = {}
    for number, (key, count) in enumerate(pieces):
        rows = [100 * number + row for row in range(count)]
        spill.append(key, pa.table({"row": pa.array(rows, pa.int64())}))
        expected.setdefault(key, []).extend(rows)
    assert sorted(spill.keys_with_rows()) == sorted(expected)
    for key, rows in expected.items():
        assert spill.take(key)["row"].to_pylist() == rows
    assert list(folder.iterdir()) == []


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=9), max_size=6))
def test_duplicates_are_what_a_dictionary_finds(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int | None]]
) -> None:
    finder = DuplicateFinder(tmp_path_factory.mktemp("ids") / "here")
    seen: set[int] = set()
    expected, row = [], 0
    for piece in pieces:
        ids = pa.chunked_array([pa.array(piece, pa.int64())])
        finder.add(ids, np.arange(row, row + len(piece)))
        for one in piece:
            if one is not None and one in seen:
                expected.append(row)
            if one is not None:
                seen.add(one)
            row += 1
    assert finder.found().rows.tolist() == expected
