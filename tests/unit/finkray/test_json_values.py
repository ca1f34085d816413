"""Values in the types of JSON."""

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from finkray.json_values import json_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (1.5, 1.5),
        (2**63, 2**63),
        (True, True),
        (None, None),
        (b"abc", "3 bytes"),
        (date(2026, 11, 24), "2026-11-24"),
        (datetime(2026, 11, 24, 1, tzinfo=UTC), "2026-11-24T01:00:00+00:00"),
        ({"a": [math.inf, {"b": (1, math.nan)}]}, {"a": [None, {"b": [1, None]}]}),
    ],
)
def test_any_value_of_an_alert_is_valid_json(value: Any, expected: Any) -> None:
    assert json_value(value) == expected
    json.loads(json.dumps(json_value(value), allow_nan=False), parse_constant=pytest.fail)
