"""Read columns of alerts as numpy arrays, and sum up the points of each alert's history. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.services.columns import pick

Floats = np.ndarray
"""An array of float64; NaN is a missing value."""

_NO_VALUE_BELOW: Final = -990.0
"""ZTF writes -999 for what is missing; nothing that is read here is that small."""


def columns_of(alerts: pa.Table, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns of nested alerts by name, each in one piece; null where there is none."""
    picked = pick(alerts.combine_chunks(), names)
    return {name: _whole(picked[name]) for name in names}


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece; nulls if the table has none of that name."""
    return columns_of(table, [name])[name]


def floats(values: pa.Array, *, sentinel: bool = False) -> Floats:
    """Return numbers as float64; NaN for null, for what is not finite and for what is no number.

    Parameters
    ----------
    values
        numbers, booleans, or nulls
    sentinel
        whether -999 stands for a missing value
    """
    try:
        numbers = values.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(values), np.nan)
    out: Floats = numbers.to_numpy(zero_copy_only=False)  # nulls become NaN
    good = np.isfinite(out)
    if sentinel:
        good &= out > _NO_VALUE_BELOW
    return np.where(good, out, np.nan)


def wrapped_degrees(difference: Floats) -> Floats:
    """Return a difference of right ascensions, between -180 and 180 degrees."""
    return (difference + 180.0) % 360.0 - 180.0


def first_floats(values: Mapping[str, pa.Array], *names: str) -> Floats:
    """Return for each row the first of some columns that has a number."""
    out = floats(values[names[0]])
    for name in names[1:]:
        out = np.where(np.isnan(out), floats(values[name]), out)
    return out


def texts(values: pa.Array) -> pa.Array:
    """Return a column as text; null where it cannot be text."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(values), pa.string())


def list_counts(values: pa.Array) -> np.ndarray:
    """Return the length of each list; 0 for null."""
    if not _is_list(values.type):
        return np.zeros(len(values), np.int64)
    counts: np.ndarray = pc.fill_null(pc.list_value_length(values), 0).to_numpy(
        zero_copy_only=False
    )
    return counts.astype(np.int64)


def flat(values: pa.Array, counts: np.ndarray) -> pa.Array:
    """Return the elements of lists in order; nulls if these lists have not the given lengths."""
    if np.array_equal(list_counts(values), counts) and _is_list(values.type):
        return pc.list_flatten(values)
    return pa.nulls(int(counts.sum()))


EVERY: Final = slice(None)
"""Selects all points, and copies none."""


@dataclass(frozen=True)
class Groups:
    """Points that belong to alerts.

    Attributes
    ----------
    alert
        row of the alert of each point; not decreasing
    alerts
        number of alerts
    """

    alert: np.ndarray
    alerts: int

    def count(self, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return how many points of each alert are selected."""
        return np.bincount(self.alert[mask], minlength=self.alerts).astype(np.float64)

    def sum(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the sum of the selected points of each alert; 0 if there are none."""
        # bincount adds one after the other: an alert's sum does not depend on its neighbours.
        return np.bincount(self.alert[mask], weights=values[mask], minlength=self.alerts)

    def smallest(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the smallest value of the selected points of each alert; NaN if there are none."""
        owner = self.alert[mask]
        out = np.full(self.alerts, np.inf)
        if len(owner):
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            out[owner[starts]] = np.fmin.reduceat(values[mask], starts)
        return np.where(np.isfinite(out), out, np.nan)

    def largest(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the largest value of the selected points of each alert; NaN if there are none."""
        return -self.smallest(-values, mask)

    def last(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the value of the last selected point of each alert; NaN if there is none."""
        out = np.full(self.alerts, np.nan)
        out[self.alert[mask]] = values[mask]  # of equal indices the last one stays
        return out

    def first(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the value of the first selected point of each alert; NaN if there is none."""
        out = np.full(self.alerts, np.nan)
        out[self.alert[mask][::-1]] = values[mask][::-1]
        return out

    def median(self, values: Floats, mask: np.ndarray | slice = EVERY) -> Floats:
        """Return the median of the selected points of each alert; NaN if there are none."""
        owner, selected = self.alert[mask], values[mask]
        order = np.lexsort((selected, owner))
        counts = np.bincount(owner, minlength=self.alerts)
        starts = np.cumsum(counts) - counts
        some = counts > 0
        out = np.full(self.alerts, np.nan)
        ordered = selected[order]
        low = ordered[starts[some] + (counts[some] - 1) // 2]
        high = ordered[starts[some] + counts[some] // 2]
        out[some] = 0.5 * (low + high)
        return out


def _is_list(data_type: pa.DataType) -> bool:
    return pa.types.is_list(data_type) or pa.types.is_large_list(data_type)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def feature_matrix(columns: Sequence[Floats], is_detection: np.ndarray) -> Floats:
    """Return columns side by side: NaN where a value is not finite, or no detection is known.

    Without time and brightness there is no detection: zeros counted in its history mean nothing.
    """
    out = np.stack(columns, axis=1)
    return np.where(np.isfinite(out) & is_detection[:, None], out, np.nan)
