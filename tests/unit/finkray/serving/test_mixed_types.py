"""Alerts whose columns have types that cannot be one are answered all the same, table by table."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from finkray.serving.child import AnswerRefused, answer_groups, united

OUTPUT = pa.schema([("text", pa.string())])
NUMBERS = pa.table({"fid": pa.array([1, 2], pa.int32())})
WIDE = pa.table({"fid": pa.array([2**40], pa.int64())})
TEXTS = pa.table({"fid": ["r"]})
MISSING = pa.table({"fid": pa.nulls(1)})


def as_text(alerts: pa.Table) -> pa.Table:
    return pa.table({"text": pc.cast(alerts["fid"], pa.string())})


def doubled(alerts: pa.Table) -> pa.Table:
    try:
        return pa.table({"text": pc.cast(pc.add(alerts["fid"], alerts["fid"]), pa.string())})
    except pa.ArrowException as error:
        raise AnswerRefused("raised", str(error), error) from error


def test_neighbours_are_united_where_their_types_can_be_one() -> None:
    groups = united([NUMBERS, WIDE, MISSING, TEXTS, MISSING, NUMBERS])

    assert [table.num_rows for table in groups] == [4, 2, 2]
    assert united([]) == []


def test_each_row_has_its_answer_in_its_order() -> None:
    answered = answer_groups(as_text, united([NUMBERS, TEXTS, NUMBERS]), OUTPUT)

    assert answered.table["text"].to_pylist() == ["1", "2", "r", "1", "2"]
    assert not answered.refused
    assert answer_groups(as_text, [], OUTPUT).table.num_rows == 0


def test_alerts_of_a_type_that_a_service_refuses_do_not_refuse_the_others() -> None:
    answered = answer_groups(doubled, united([NUMBERS, TEXTS, WIDE]), OUTPUT)

    assert answered.table["text"].to_pylist() == ["2", "4", None, str(2**41)]
    assert list(answered.refused) == [2]
    with pytest.raises(AnswerRefused):
        answer_groups(doubled, [TEXTS, TEXTS], OUTPUT)
