"""Find, cast and clean columns of nested alerts; convert magnitudes and fluxes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.adapter.survey_adapter import HISTORY_POINT

NJY_ZEROPOINT_MAG: Final = 31.4
"""AB magnitude of 1 nJy: 8.90 + 2.5 * log10(1e9) = 31.40."""

_MAG_TO_SIGMA: Final = 2.5 / np.log(10)


def find(table: pa.Table, path: str) -> pa.Array | None:
    """Return a column, or a field of a struct column, in one piece; None if there is none.

    A table that was read with `candidate.ra` alone may have it as a column of that name.
    """
    names: Sequence[str] = table.column_names
    if path in names:
        return _whole(table[path])
    first, *rest = path.split(".")
    if first not in names:
        return None
    values = _whole(table[first])
    for name in rest:
        if not pa.types.is_struct(values.type) or values.type.get_field_index(name) < 0:
            return None
        values = pc.struct_field(values, name)
    return values


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def first_valid(table: pa.Table, value_type: pa.DataType, *paths: str) -> pa.Array:
    """Return for each row the first of some columns that is not null, cast to a type."""
    found = [values for path in paths if (values := find(table, path)) is not None]
    if not found:
        return pa.nulls(table.num_rows, value_type)
    return pc.coalesce(*(values.cast(value_type) for values in found))


def numbers(table: pa.Table, *paths: str, sentinel: float | None = None) -> pa.Array:
    """Return the first valid column as float64; null for what is not finite, and for a sentinel."""
    values = first_valid(table, pa.float64(), *paths)
    good = pc.is_finite(values)
    if sentinel is not None:
        good = pc.and_(good, pc.not_equal(values, sentinel))
    return pc.if_else(good, values, None)


def not_negative(values: pa.Array) -> pa.Array:
    """Return numbers; null for what is negative or not finite."""
    return pc.if_else(pc.and_(pc.is_finite(values), pc.greater_equal(values, 0)), values, None)


def flux_of_mag(mag: pa.Array, mag_err: pa.Array, sign: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the signed flux in nJy, and its error to first order."""
    amount = pc.power(10.0, pc.divide(pc.subtract(NJY_ZEROPOINT_MAG, mag), 2.5))
    return pc.multiply(amount, sign), pc.multiply(amount, pc.divide(mag_err, _MAG_TO_SIGMA))


def mag_of_flux(flux: pa.Array, flux_err: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the AB magnitude of the amount of a flux, and its error to first order.

    Both are null where the flux is 0.
    """
    amount = pc.abs(flux)
    amount = pc.if_else(pc.greater(amount, 0.0), amount, None)
    mag = pc.subtract(NJY_ZEROPOINT_MAG, pc.multiply(2.5, pc.log10(amount)))
    return mag, pc.multiply(pc.divide(flux_err, amount), _MAG_TO_SIGMA)


def points_of(*columns_of_point: pa.Array) -> pa.Array:
    """Return an array of `HISTORY_POINT`, from its fields in order."""
    return pa.StructArray.from_arrays(list(columns_of_point), fields=list(HISTORY_POINT))
