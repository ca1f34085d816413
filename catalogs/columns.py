"""What a column of a catalogue may hold: one rule each for types, ids and missing values.

Types: numbers, booleans, dates and texts are carried as they are; lists, records and the like as
JSON text; bytes as text if they are UTF-8. Everything else is refused at build.

Ids: whole numbers that lose no digit, or texts. A double is a whole number only below 2^53.

Missing: null of the format, NaN, and text that is blank. All are null, and so is nothing else.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import CatalogError

NULL_WORDS: Final = (
    "", "null", "NULL", "Null", "NaN", "nan", "NAN", "-NaN", "-nan", "NA", "N/A", "n/a", "#N/A",
    "#NA", "<NA>", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND", "\\N", "--",
)  # fmt: skip
"""What stands for a missing value in a file of text, where it is not in quotes; in quotes too if
the rest of the column are numbers."""

_EXACT_BELOW: Final = {"halffloat": 2**11, "float": 2**24, "double": 2**53}
"""From this number on, a floating-point number stands for several whole numbers."""

_SCALARS: Final = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_decimal128,
    pa.types.is_decimal256,
    pa.types.is_date32,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_string,
    pa.types.is_null,
)

_STRINGS: Final = (pa.types.is_large_string, pa.types.is_string_view)

_BYTES: Final = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)

_NESTED: Final = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_struct,
    pa.types.is_map,
)


def carried_type(column: str, kind: pa.DataType, *, is_id: bool) -> pa.DataType:
    """Return the type that a column of some type is carried as.

    Raises
    ------
    CatalogError
        No column of this type is carried.
    """
    kind = _storage_type(kind)
    if is_id and not (pa.types.is_integer(kind) or pa.types.is_null(kind)):
        return pa.int64() if pa.types.is_floating(kind) else _text_type(column, kind)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_date64(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # The instant is the same; not every zone's name is known where it becomes text.
        return pa.timestamp(kind.unit, "UTC")
    if any(is_type(kind) for is_type in _SCALARS):
        return kind
    return _text_type(column, kind)


def _text_type(column: str, kind: pa.DataType) -> pa.DataType:
    texts = (*_SCALARS, *_STRINGS, *_BYTES, *_NESTED, pa.types.is_duration)
    more = (pa.types.is_date64, pa.types.is_float16, pa.types.is_interval)
    if any(is_type(kind) for is_type in (*texts, *more)):
        return pa.string()
    raise CatalogError(
        f"column {column}: values of type {kind} are not carried: leave it out of catalog.columns, "
        "or make it text in the file"
    )


def _storage_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without what is only another way to store it."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def common_type(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type that columns of these carried types are united in; text if nothing else.

    Two whole numbers stay whole. A whole number beside a fraction becomes a double, and a value
    that no double holds exactly is refused when it is cast.
    """
    common = pa.null()
    for kind in kinds:
        common = _common(common, kind)
    return common


def _common(first: pa.DataType, other: pa.DataType) -> pa.DataType:
    if first == other or pa.types.is_null(other):
        return first
    if pa.types.is_null(first):
        return other
    integers = [pa.types.is_integer(kind) for kind in (first, other)]
    if all(integers):
        return _common_integer(first, other)
    if any(integers) and (pa.types.is_floating(first) or pa.types.is_floating(other)):
        return pa.float64()
    decimals = [pa.types.is_decimal(kind) for kind in (first, other)]
    if any(integers) and any(decimals):
        return _integer_or_decimal(first if decimals[0] else other)
    return _united(first, other) if all(decimals) or not any(decimals) else pa.string()


def _integer_or_decimal(decimal: pa.DataType) -> pa.DataType:
    """Return a decimal that also holds every 64-bit integer; pyarrow's own has a digit too few."""
    precision = max(decimal.precision, 20 + decimal.scale)
    if pa.types.is_decimal256(decimal):  # of decimals that no 128 bits hold together
        return pa.decimal256(precision, decimal.scale) if precision <= 76 else pa.string()
    return pa.decimal128(precision, decimal.scale) if precision <= 38 else pa.string()


def _united(first: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that pyarrow promotes both to, if such columns can be carried; else text."""
    fields = [pa.schema([("column", kind)]) for kind in (first, other)]
    try:
        united = pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return pa.string()
    return united if any(is_type(united) for is_type in _SCALARS) else pa.string()


def _common_integer(first: pa.DataType, other: pa.DataType) -> pa.DataType:
    signed = [pa.types.is_signed_integer(kind) for kind in (first, other)]
    width = max(first.bit_width, other.bit_width)
    if all(signed) or not any(signed):
        return first if first.bit_width == width else other
    unsigned = other if signed[0] else first
    if unsigned.bit_width == 64:
        return pa.string()
    needed = max(width, 2 * unsigned.bit_width)
    return {16: pa.int16(), 32: pa.int32()}.get(needed, pa.int64())


def carried(column: str, values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return values as they are carried.

    Parameters
    ----------
    column
        their name, for messages
    values
        as the file has them
    kind
        what `carried_type` and `common_type` said

    Raises
    ------
    CatalogError
        A value cannot be carried without a change.
    """
    try:
        return _carried(column, _stored(values), kind)
    except (pa.ArrowException, UnicodeDecodeError, OverflowError) as error:
        raise CatalogError(
            f"column {column}: a value of type {values.type} cannot be carried as {kind} without "
            f"a change ({error}): make it text in the file, or leave it out"
        ) from error


def _stored(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(values.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in values.chunks]
        values = pa.chunked_array(chunks, values.type.storage_type)
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(values)
    return values


def _carried(column: str, values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    have = values.type
    if pa.types.is_floating(have):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, have), values)
        if pa.types.is_integer(kind):
            return _whole(column, values, kind)
    if pa.types.is_string(kind):
        return _trimmed(_as_text(column, values))
    return values.cast(kind)


def _whole(column: str, values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return ids that the file has as floating-point numbers as whole numbers."""
    limit = _EXACT_BELOW[str(values.type)]
    numbers = values.drop_null().to_numpy().astype(np.float64)
    wrong = numbers[~((np.abs(numbers) < limit) & (numbers == np.floor(numbers)))]
    if len(wrong):
        raise CatalogError(
            f"column {column}: an id such as {wrong[0]} is of type {values.type}, which keeps "
            f"whole numbers apart only below {limit}: write ids as integers or texts"
        )
    return values.cast(pa.float64()).cast(kind)


def _trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text without the blanks that pad it; null where nothing is left."""
    values = pc.utf8_trim(values.cast(pa.string()), " \t\r\n\f\v\x00")
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def _as_text(column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    have = values.type
    if any(is_type(have) for is_type in _BYTES):
        return _decoded(column, values)
    if pa.types.is_duration(have):
        numbers = values.cast(pa.int64()).cast(pa.string())
        return pc.binary_join_element_wise(numbers, f" {have.unit}", "")
    if any(is_type(have) for is_type in _NESTED) or pa.types.is_interval(have):
        texts = [
            None if value is None else json_text(column, value) for value in values.to_pylist()
        ]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_timestamp(have) and have.tz is not None:
        values = values.cast(pa.timestamp(have.unit, "UTC"))
    return values.cast(pa.string())


def _decoded(column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return values.cast(pa.binary()).cast(pa.string())
    except pa.ArrowException as error:
        raise CatalogError(
            f"column {column}: holds bytes that are no text in UTF-8: leave it out of "
            "catalog.columns, or make it text in the file"
        ) from error


def json_text(column: str, value: object) -> str:
    """Return a list or a record as JSON text, with null for NaN.

    Raises
    ------
    CatalogError
        It holds bytes that are no text.
    """
    return json.dumps(_plain(column, value), ensure_ascii=False)


def _plain(column: str, value: Any) -> Any:
    """Return a value of lists and records as JSON has it; NaN is null there too."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(column, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(column, item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise CatalogError(
                f"column {column}: holds bytes that are no text in UTF-8: leave it out"
            ) from error
    return str(value)


def as_numbers(column: str, values: pa.ChunkedArray) -> np.ndarray:
    """Return a column of positions or motions as float64, NaN for null.

    Raises
    ------
    CatalogError
        It holds something else than numbers.
    """
    try:
        if pa.types.is_string(values.type):
            values = _trimmed(values)
            missing = pc.is_in(values, pa.array(NULL_WORDS))
            values = pc.if_else(missing, pa.scalar(None, pa.string()), values)
        elif not (
            pa.types.is_integer(values.type)
            or pa.types.is_floating(values.type)
            or pa.types.is_decimal(values.type)
            or pa.types.is_null(values.type)
        ):
            raise CatalogError(f"{column}: is no number: its values are of type {values.type}")
        numbers: np.ndarray = pc.cast(values, pa.float64()).to_numpy().astype(np.float64)
    except pa.ArrowException as error:
        raise CatalogError(
            f"{column}: is no number ({error}): a position is read in units such as degrees or "
            "hours with a fraction, not as 12:30:00"
        ) from error
    return numbers
