"""The reasons of dead letters are public codes: docs/archive.md explains all of them."""

import copy
import json
import pickle
import re
from pathlib import Path

import pytest

from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA, DeadLetterReason

PAGE = Path(__file__).parents[3] / "docs" / "archive.md"


def test_the_page_has_a_row_for_each_reason_and_no_other() -> None:
    _, table = PAGE.read_text().split("\n| reason | meaning |\n|---|---|\n")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", table.split("\n\n")[0], flags=re.MULTILINE)
    assert rows == [(reason.value, reason.description) for reason in DeadLetterReason]


@pytest.mark.parametrize("reason", DeadLetterReason)
def test_a_reason_is_its_value_wherever_it_is_written(reason: DeadLetterReason) -> None:
    assert reason == reason.value
    assert str(reason) == f"{reason}" == reason.value
    assert json.dumps({reason: [reason]}) == json.dumps({reason.value: [reason.value]})
    assert {reason.value: 1}[reason] == 1


@pytest.mark.parametrize("reason", DeadLetterReason)
def test_a_reason_can_be_pickled_and_copied(reason: DeadLetterReason) -> None:
    for twin in (pickle.loads(pickle.dumps(reason)), copy.deepcopy(reason)):
        assert twin is reason


def test_the_reasons_that_wait_for_a_schema() -> None:
    assert WAITING_FOR_A_SCHEMA == ("unknown_schema", "schema_unavailable")
