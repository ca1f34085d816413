"""The comparison finds each thing that can be wrong, and nothing where all is right."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.check import compare as words
from sim.check.compare import ARCHIVED, DEAD, compare
from sim.player.manifest import MESSAGES

GOOD = {"trouble": "", "aborted": False, "reasons": [], "candid": 7, "size_bytes": 3}
BROKEN = {**GOOD, "trouble": "poison:text", "reasons": ["not_avro"], "candid": None, "sha256": "a"}
ABORTED = {**GOOD, "aborted": True}
ALERT = {"candid": 7}
LETTER = {"reason": "not_avro", "size_bytes": 3, "sha256": "a"}


def found(sent: Any, alerts: Any = (), letters: Any = ()) -> list[str]:
    """What is wrong with a message at partition 1, offset 5."""

    def table(rows: Any, schema: pa.Schema) -> pa.Table:
        here = {"partition": 1, "offset": 5}
        return pa.Table.from_pylist([{**here, **row} for row in rows], schema)

    comparison = compare(table(sent, MESSAGES), table(alerts, ARCHIVED), table(letters, DEAD))
    assert comparison.good == (not comparison.findings)
    assert all((one.partition, one.offset) == (1, 5) for one in comparison.findings)
    return [one.what for one in comparison.findings]


@pytest.mark.parametrize(
    ("sent", "alerts", "letters"),
    [
        ([GOOD], [ALERT], []),
        ([BROKEN], [], [LETTER]),
        ([BROKEN], [], [{**LETTER, "sha256": None}]),
        ([ABORTED], [], []),
        ([{**GOOD, "candid": None}], [ALERT], []),
        ([], [], []),
    ],
)
def test_all_is_as_it_should_be(sent: Any, alerts: Any, letters: Any) -> None:
    assert found(sent, alerts, letters) == []


@pytest.mark.parametrize(
    ("sent", "alerts", "letters", "what"),
    [
        ([GOOD], [], [], words.MISSING),
        ([BROKEN], [], [], words.MISSING),
        ([GOOD], [ALERT, ALERT], [], words.DOUBLED),
        ([BROKEN], [], [LETTER, LETTER], words.DOUBLED),
        ([GOOD], [ALERT], [LETTER], words.DOUBLED),
        ([GOOD], [], [LETTER], words.WRONGLY_DEAD),
        ([BROKEN], [ALERT], [], words.WRONGLY_ARCHIVED),
        ([BROKEN], [], [{**LETTER, "reason": "empty"}], words.WRONG_REASON),
        ([BROKEN], [], [{**LETTER, "sha256": "b"}], words.WRONG_BYTES),
        ([BROKEN], [], [{**LETTER, "size_bytes": 4, "sha256": None}], words.WRONG_BYTES),
        ([GOOD], [{"candid": 8}], [], words.WRONG_ALERT),
        ([ABORTED], [ALERT], [], words.ABORTED_SEEN),
        ([ABORTED], [], [LETTER], words.ABORTED_SEEN),
        ([], [ALERT], [], words.UNKNOWN),
        ([], [], [LETTER], words.UNKNOWN),
    ],
)
def test_what_is_wrong_is_found(sent: Any, alerts: Any, letters: Any, what: str) -> None:
    assert found(sent, alerts, letters) == [what]


@given(
    kinds=st.lists(st.sampled_from(["good", "broken", "aborted"]), max_size=40),
    data=st.data(),
)
def test_any_single_fault_in_any_run_is_found_where_it_is(kinds: list[str], data: Any) -> None:
    sent = {"good": GOOD, "broken": BROKEN, "aborted": ABORTED}
    places = [{"partition": n % 3, "offset": n} for n in range(len(kinds))]
    rows = [{**sent[kind], **place} for kind, place in zip(kinds, places, strict=True)]
    alerts = [{**ALERT, **p} for k, p in zip(kinds, places, strict=True) if k == "good"]
    letters = [{**LETTER, **p} for k, p in zip(kinds, places, strict=True) if k == "broken"]

    def run() -> list[tuple[int, int]]:
        comparison = compare(
            pa.Table.from_pylist(rows, MESSAGES),
            pa.Table.from_pylist(alerts, ARCHIVED),
            pa.Table.from_pylist(letters, DEAD),
        )
        assert comparison.messages == len(kinds)
        return [(one.partition, one.offset) for one in comparison.findings]

    assert run() == []
    hit = data.draw(st.sampled_from([t for t in (alerts, letters) if t] or [[]]))
    if hit:
        lost = data.draw(st.sampled_from(hit))
        if data.draw(st.booleans()):
            hit.remove(lost)
        else:
            hit.append(lost)
        assert run() == [(lost["partition"], lost["offset"])]
