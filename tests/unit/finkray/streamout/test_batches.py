"""Batches of alerts of several files, and the verdicts put together by file."""

import numpy as np
import pyarrow as pa

from finkray.streamout.batches import (
    FileRows,
    FilterInput,
    batch_columns,
    join_verdicts,
    next_batch,
    split_verdicts,
)
from finkray.streamout.filter_file import FilterFile, filter_of_text
from finkray.streamout.verdict import NOT_JUDGED, NOT_PASSED, PASSED, Verdicts

FILTER: FilterFile = filter_of_text("f.py", "def f(magpsf):\n    return magpsf < 18\n")


def file_rows(
    number: int, first: int, rows: int, magnitudes: pa.DataType | None = None
) -> FileRows:
    values = pa.array(range(first, first + rows), magnitudes or pa.float32())
    return FileRows(number, pa.table({"magpsf": values}), np.arange(rows))


def test_a_batch_has_alerts_of_several_files_up_to_its_size() -> None:
    batch, rest = next_batch([file_rows(0, 0, 3), file_rows(1, 3, 3), file_rows(2, 6, 2)], 7)
    assert [(each.file, each.rows.tolist()) for each in batch] == [
        (0, [0, 1, 2]),
        (1, [0, 1, 2]),
        (2, [0]),
    ]
    assert batch_columns(batch)["magpsf"].to_pylist() == list(range(7))
    assert batch_columns(batch)["magpsf"].num_chunks == 1
    assert [(each.file, each.rows.tolist()) for each in rest] == [(2, [1])]
    batch, rest = next_batch(rest, 7)
    assert batch_columns(batch)["magpsf"].to_pylist() == [7]
    assert not rest


def test_columns_of_another_type_are_in_another_batch() -> None:
    batch, rest = next_batch(
        [file_rows(0, 0, 3), file_rows(1, 3, 3, pa.float64()), file_rows(2, 6, 2)], 100
    )
    assert [each.file for each in batch] == [0]
    assert [each.file for each in rest] == [1, 2]


def test_one_whole_file_is_not_copied() -> None:
    whole = file_rows(0, 0, 3)
    assert batch_columns([whole]) is whole.columns


def test_verdicts_return_to_the_rows_of_their_files() -> None:
    both = [file_rows(0, 0, 3), FileRows(1, file_rows(1, 3, 5).columns, np.array([1, 4]))]
    codes = np.array([PASSED, NOT_PASSED, NOT_JUDGED, PASSED, NOT_JUDGED], np.uint8)
    first, second = split_verdicts(Verdicts(codes, {"null": [2, 4]}), both)
    expected = [PASSED, NOT_PASSED, NOT_JUDGED]
    assert (first.codes.tolist(), first.reasons) == (expected, {"null": [2]})
    assert (second.codes.tolist(), second.reasons) == ([PASSED, NOT_JUDGED], {"null": [1]})

    read = FilterInput(FILTER, both[1].columns, np.array([1, 2, 4]))
    found = join_verdicts(
        [(both[1], second)], read, 5, excluded={2: "died", 3: "died"}, not_read="needs x"
    )
    assert found.codes.tolist() == [NOT_JUDGED, PASSED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED]
    assert found.reasons == {"null": [4], "died": [2], "needs x": [0, 3]}
