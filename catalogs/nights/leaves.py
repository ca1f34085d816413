"""The third pass: one leaf after another, from slices of the runs."""

from typing import Final

import numpy as np
import pyarrow as pa

from catalogs.hats_layout import INDEX
from catalogs.nights.curves import CURVE, light_curves
from catalogs.nights.inputs import NightInput
from catalogs.nights.places import Places
from catalogs.nights.runs import NUMBER, Runs, with_column
from catalogs.partition import shift
from finkray.errors import NightError

CURVE_COLUMN: Final = "lc"
ALERTS_COLUMN: Final = "n_alerts"

Pixel = tuple[int, int]


def alerts_schema(night: NightInput) -> pa.Schema:
    """Return the columns of the catalogue of alerts."""
    return pa.schema([pa.field(INDEX, pa.int64()), *night.flat_schema])


def objects_schema(night: NightInput) -> pa.Schema:
    """Return the columns of the catalogue of objects."""
    fields = [pa.field(ALERTS_COLUMN, pa.int64()), pa.field(CURVE_COLUMN, CURVE)]
    return pa.schema([*alerts_schema(night), *fields])


def alerts_leaf(night: NightInput, runs: Runs, pixel: Pixel) -> pa.Table:
    """Return the alerts whose own position lies in a pixel, sorted by their HEALPix index."""
    rows = runs.slice("alerts", *_range(pixel))
    if rows is None:
        return alerts_schema(night).empty_table()
    order = np.argsort(rows[INDEX].to_numpy(), kind="stable")
    return rows.take(pa.array(order)).select(alerts_schema(night).names)


def objects_leaf(
    night: NightInput, places: Places, runs: Runs, pixel: Pixel, beside: np.ndarray | None
) -> pa.Table:
    """Return the objects of a pixel: columns of the latest alert, number of alerts, light curve.

    Parameters
    ----------
    night, places, runs
        what is known of the night
    pixel
        of the leaf
    beside
        numbers of objects in other pixels to which points may have moved

    Raises
    ------
    NightError
        if an object has no row, which would be a bug
    """
    first, end = np.searchsorted(places.object_place, _range(pixel))
    rows = runs.slice("objects", first, end)
    if rows is None:
        return objects_schema(night).empty_table()
    rows = rows.take(pa.array(np.argsort(rows[NUMBER].to_numpy(), kind="stable")))
    numbers = rows[NUMBER].to_numpy()
    if not np.array_equal(numbers, np.arange(first, end)):
        raise NightError(
            f"pixel {pixel} has {len(numbers)} rows for {end - first} objects: a bug of finkray, "
            "report it"
        )
    points = [runs.slice("points", first, end)]
    if beside is not None:
        points.append(runs.of_keys("points", beside))
    curves = light_curves([table for table in points if table is not None], numbers)
    place = places.object_place[first:end]
    return (
        with_column(rows.drop_columns([NUMBER]), INDEX, place)
        .append_column(ALERTS_COLUMN, pa.array(places.object_alerts[first:end], pa.int64()))
        .append_column(CURVE_COLUMN, curves)
        .cast(objects_schema(night))
    )


def _range(pixel: Pixel) -> tuple[int, int]:
    """Return the first index of a pixel, and the one after its last."""
    order, number = pixel
    return number << shift(order), (number + 1) << shift(order)
