"""Answers come in any order and in parts; a claim is complete when each file has all of them."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim, DataFile
from finkray.results.backlog import ClaimWork
from finkray.services.messages import Answer, Slice
from finkray.serving.answers import NO_COLUMNS, AnsweredClaim, OpenClaims
from tests.support.ledgers import ZTF

OUTPUT = pa.schema([("x", pa.int64())])


def work(first: int, *rows: int, seq: int = 0) -> ClaimWork:
    """A claim with a file for each number of rows."""
    files = [
        DataFile(f"alerts/{first}-{n}.parquet", count, 1, 0, 0) for n, count in enumerate(rows)
    ]
    claim = Claim(ZTF, first, first + 9)
    return ClaimWork(seq, datetime(2026, 11, 24, tzinfo=UTC), claim, tuple(files))


def answer(*rows: int, errors: tuple[tuple[int, str], ...] = (), skipped: bool = False) -> Answer:
    return Answer(
        table=pa.table({"x": pa.array(rows, pa.int64())}),
        skipped=(skipped,),
        errors=tuple((row, "raised", detail) for row, detail in errors),
    )


def said(answered: AnsweredClaim | None, path: str) -> list[tuple[int, object, str, str | None]]:
    """Row, value, status and reason of a file, by row."""
    assert answered is not None
    return sorted(
        (part.first_row + row, *values)
        for part in answered.answers[path]
        for row, values in enumerate(
            zip(part.table["x"].to_pylist(), part.status, part.reason, strict=True)
        )
    )


@given(st.permutations(range(6)), st.integers(1, 5))
def test_a_claim_is_complete_with_its_last_file_whatever_the_order(
    order: list[int], first_rows: int
) -> None:
    claims = OpenClaims(OUTPUT)
    files = list(claims.open(work(0, first_rows, 6 - first_rows)))
    rows = [(files[0], row) for row in range(first_rows)]
    rows += [(files[1], row) for row in range(6 - first_rows)]
    left = {files[0]: first_rows, files[1]: 6 - first_rows}
    completed = []
    for at in order:
        file, row = rows[at]
        claims.add([Slice(file, row, 1)], answer(at))
        left[file] -= 1
        if left[file] == 0:
            completed.append(claims.complete(file))
    assert completed[0] is None
    found = said(completed[1], "alerts/0-0.parquet") + said(completed[1], "alerts/0-1.parquet")
    assert [value for _, value, _, _ in found] == list(range(6))
    assert len(claims) == claims.rows == 0


def test_errors_and_skipped_alerts_keep_their_reasons() -> None:
    claims = OpenClaims(OUTPUT)
    first, second = claims.open(work(0, 3, 1))
    claims.add([Slice(first, 1, 2)], answer(1, 2, errors=((1, "no"),)))
    claims.add_error(Slice(first, 0, 1), "died", "exit code 3")
    claims.add([Slice(second, 0, 1)], answer(0, skipped=True))
    assert claims.complete(first) is None
    answered = claims.complete(second)
    assert said(answered, "alerts/0-0.parquet") == [
        (0, None, "error", "died: exit code 3"),
        (1, 1, "ok", None),
        (2, 2, "error", "raised: no"),
    ]
    assert said(answered, "alerts/0-1.parquet") == [(0, 0, "skipped", NO_COLUMNS)]


def test_an_abandoned_file_has_no_answers_and_the_others_keep_theirs() -> None:
    claims = OpenClaims(OUTPUT)
    bad, good = claims.open(work(0, 2, 1))
    claims.add([Slice(bad, 0, 1)], answer(7))
    assert claims.abandon(bad) is None
    claims.add([Slice(bad, 1, 1)], answer(8))  # an answer that was under way
    claims.add([Slice(good, 0, 1)], answer(9))
    answered = claims.complete(good)
    assert answered is not None
    assert list(answered.answers) == ["alerts/0-1.parquet"]


def test_the_oldest_claim_is_the_one_that_came_first_into_the_archive() -> None:
    claims = OpenClaims(OUTPUT)
    assert claims.oldest is None
    claims.open(work(10, 1, seq=5))
    claims.open(work(0, 1, seq=3))
    assert claims.oldest is not None
    assert claims.oldest.seq == 3
    assert claims.rows == 2
