"""Values of alerts and results in the types of JSON, which has neither NaN nor bytes nor times."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any


def json_value(value: Any) -> Any:
    """Return a value of a packet or a table in the types of JSON: what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)
