"""Call a filter of the package fink-filters, in the process of the filter.

Fink calls its filters with pandas: a Series for a column, a DataFrame for a record, an array for a
history. Nulls are what Fink's own services write where they found nothing.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from finkray.streamout.fink_filter import BEFORE, NOW, arguments_of

NULLS: Final[Mapping[str, Any]] = {
    "cdsxmatch": "Unknown",
    "DR3Name": "nan",
    "tns": "",
    "roid": 0,
}
"""What Fink writes where nothing was found, by the name of an argument."""


def fink_judge(function: str, columns: Sequence[str]) -> Callable[[pa.Table], Any]:
    """Return a function that calls a filter of the package with the columns of a table.

    Parameters
    ----------
    function
        module and function
    columns
        names of the columns, in the order of the arguments
    """
    module, _, name = function.rpartition(".")
    call = getattr(importlib.import_module(module), name)
    call = getattr(call, "func", call)  # a filter of ZTF: the function that Spark's decorator got
    arguments = arguments_of(columns)
    return lambda alerts: call(*(_argument(alerts, each) for each in arguments))


def _argument(alerts: pa.Table, argument: str) -> Any:
    if argument + NOW in alerts.column_names:
        return _histories(alerts[argument + BEFORE], alerts[argument + NOW])
    return _column(alerts[argument], NULLS.get(argument))


def _histories(before: pa.ChunkedArray, now: pa.ChunkedArray) -> Any:
    """Return an array for each alert: its history, then its current value."""
    import pandas as pd

    is_text = pa.types.is_string(now.type)
    values = [
        np.array([*(earlier or ()), current], dtype=object if is_text else float)
        for earlier, current in zip(before.to_pylist(), now.to_pylist(), strict=True)
    ]
    series = pd.Series([None] * len(values), dtype=object)
    for row, value in enumerate(values):
        series.iat[row] = value
    return series


def _column(column: pa.ChunkedArray, null: Any) -> Any:
    """Return a column as a Series, or a record as a DataFrame."""
    import pandas as pd

    if pa.types.is_struct(column.type):
        record = column.combine_chunks()
        names = [field.name for field in column.type]
        parts = dict(zip(names, record.flatten(), strict=True))
        return pd.DataFrame({name: _series(part, None) for name, part in parts.items()})
    return _series(column, null)


def _series(column: pa.Array | pa.ChunkedArray, null: Any) -> Any:
    """Return a Series; text is of the dtype object, because filters test for None."""
    import pandas as pd

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        series = column.to_pandas()
        return series if null is None else series.fillna(null).astype(type(null))
    if pa.types.is_boolean(column.type) and not column.null_count:
        # Not of the dtype object: a filter may invert it with `~`, and `~True` is -2 there.
        return column.to_pandas()
    values = column.to_pylist()
    if null is not None:
        values = [null if value is None else value for value in values]
    return pd.Series(values, dtype=object)
