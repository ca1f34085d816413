"""Light curves as a column: the points of each object as a record of equally long lists.

The points and their rules are those of `finkray.curves`. While a night is built, the number of an
object stands for its id.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from finkray.curves.raw import raw_points
from finkray.curves.rules import united_points
from finkray.curves.schema import POINT

_OF_OBJECT: Final = ("survey", "object_id")

CURVE: Final = pa.struct(
    [(field.name, pa.list_(field.type)) for field in POINT if field.name not in _OF_OBJECT]
)
"""Type of a light curve: a list for each column of `POINT` but survey and object, which LSDB shows
as nested rows."""

NUMBER: Final = "object_id"
"""Column of raw points with the number of the object."""


def numbered_points(alerts: pa.Table, numbers: np.ndarray, survey: str) -> pa.Table:
    """Return the points of alerts as the packets have them, with the numbers of their objects.

    Parameters
    ----------
    alerts
        packets of one survey
    numbers
        number of each alert's object; alerts without one (-1) give no points
    survey
        its name
    """
    known = np.flatnonzero(numbers >= 0)
    objects = pa.array(numbers[known], pa.int64())
    points = raw_points(alerts.take(pa.array(known)), survey, objects)
    out: pa.Table = points.to_arrow(compat_level=pl.CompatLevel.oldest())
    return out


def light_curves(points: Sequence[pa.Table], numbers: np.ndarray) -> pa.StructArray:
    """Return the light curve of each object: each measurement once, in the order of time.

    Parameters
    ----------
    points
        of `numbered_points`, also of other objects
    numbers
        of the objects, ascending

    Returns
    -------
    pa.StructArray
        of type `CURVE`; the lists of an object without a point are empty
    """
    if not points:
        return pa.array([{field.name: [] for field in CURVE}] * len(numbers), CURVE)
    united = united_points(pl.DataFrame(pa.concat_tables(points)))
    united = united.filter(pl.col(NUMBER).is_in(numbers))
    ends = np.searchsorted(united[NUMBER].to_numpy(), numbers, side="right")
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    columns = united.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    lists = [
        pa.ListArray.from_arrays(offsets, _whole(columns[field.name]).cast(field.type.value_type))
        for field in CURVE
    ]
    return pa.StructArray.from_arrays(lists, fields=list(CURVE))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
