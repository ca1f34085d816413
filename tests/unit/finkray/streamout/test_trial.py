"""What a filter said of archived alerts."""

from collections import Counter

import pytest

from finkray.streamout.trial import Trial

WRONG = "contract: it returned float64, not booleans"


@pytest.mark.parametrize(
    ("not_judged", "failed"),
    [
        ({WRONG: 205}, WRONG),
        ({WRONG: 204}, ""),
        ({"needs classify": 205}, ""),
        ({"null: its answer is null": 205}, ""),
        ({}, ""),
    ],
)
def test_a_filter_fails_that_judges_nothing_by_its_own_fault(
    not_judged: dict[str, int], failed: str
) -> None:
    assert Trial("f", alerts=205, not_judged=Counter(not_judged)).failed == failed
