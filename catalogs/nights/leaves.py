"""The third pass: one leaf after another, from slices of the runs."""

import numpy as np
import pyarrow as pa

from catalogs.hats_layout import INDEX
from catalogs.nights.inputs import NightInput
from catalogs.nights.places import Places
from catalogs.nights.points import RAW_POINT, curve_type, united
from catalogs.nights.runs import NUMBER, Runs, with_column
from catalogs.partition import shift
from finkray.errors import NightError

CURVE = "lc"
ALERTS_COLUMN = "n_alerts"

Pixel = tuple[int, int]


def alerts_schema(night: NightInput) -> pa.Schema:
    """Return the columns of the catalogue of alerts."""
    return pa.schema([pa.field(INDEX, pa.int64()), *night.flat_schema])


def objects_schema(night: NightInput) -> pa.Schema:
    """Return the columns of the catalogue of objects."""
    fields = [pa.field(ALERTS_COLUMN, pa.int64()), pa.field(CURVE, curve_type())]
    return pa.schema([*alerts_schema(night), *fields])


def alerts_leaf(night: NightInput, runs: Runs, pixel: Pixel) -> pa.Table:
    """Return the alerts of a pixel by their own place, sorted by it."""
    rows = runs.slice("alerts", *_range(pixel))
    if rows is None:
        return alerts_schema(night).empty_table()
    order = np.argsort(rows[INDEX].to_numpy(), kind="stable")
    return rows.take(pa.array(order)).select(alerts_schema(night).names)


def objects_leaf(night: NightInput, places: Places, runs: Runs, pixel: Pixel) -> pa.Table:
    """Return the objects of a pixel: columns of the latest alert, number of alerts, light curve.

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
        raise NightError(f"pixel {pixel} has {len(numbers)} rows for {end - first} objects")
    points = runs.slice("points", first, end)
    curves = united(RAW_POINT.empty_table() if points is None else points, numbers)
    place = places.object_place[first:end]
    return (
        with_column(rows.drop_columns([NUMBER]), INDEX, place)
        .append_column(ALERTS_COLUMN, pa.array(places.object_alerts[first:end], pa.int64()))
        .append_column(CURVE, curves)
        .cast(objects_schema(night))
    )


def _range(pixel: Pixel) -> tuple[int, int]:
    """Return the first index of a pixel, and the one after its last."""
    order, number = pixel
    return number << shift(order), (number + 1) << shift(order)
