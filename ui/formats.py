"""Write tables as JSON, CSV, Parquet and VOTable, for downloads and the API."""

import io
import json
import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from finkray.json_values import json_value

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet takes for a formula."""

_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain: no reader opens a file with one of them."""


def to_json(table: pa.Table) -> bytes:
    """Return the rows of a table as a JSON array."""
    return json.dumps(json_value(table.to_pylist())).encode()


def to_csv(table: pa.Table) -> bytes:
    """Return a table as CSV; a quote precedes each text or name that a spreadsheet would run."""
    columns = [_quoted(column) for column in table.columns]
    sink = io.BytesIO()
    pacsv.write_csv(pa.table(columns, names=list(map(_harmless, table.column_names))), sink)
    return sink.getvalue()


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def to_votable(table: pa.Table) -> bytes:
    """Return a table as a VOTable: missing values masked, `�` for what XML cannot contain."""
    import numpy as np
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.exceptions import W03
    from astropy.table import MaskedColumn, Table

    columns = []
    for name in table.column_names:
        values = table[name].to_pylist()
        missing = [value is None for value in values]
        if pa.types.is_integer(table.schema.field(name).type):
            data = np.array([value or 0 for value in values], np.int64)
        elif pa.types.is_floating(table.schema.field(name).type):
            data = np.array([math.nan if value is None else value for value in values], np.float64)
        elif pa.types.is_boolean(table.schema.field(name).type):
            data = np.array([bool(value) for value in values], np.bool_)
        else:
            texts = [value if isinstance(value, str) else json_value(value) for value in values]
            texts = ["" if text is None else _in_xml(str(text)) for text in texts]
            data = np.array(texts, np.str_)
        columns.append(MaskedColumn(data, name=_in_xml(name), mask=missing))
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W03)  # a name need not be an identifier of XML
        writeto(from_table(Table(columns)), sink)
    return sink.getvalue()


FORMATS: Final[Mapping[str, tuple[Callable[[pa.Table], bytes], str]]] = {
    "json": (to_json, "application/json"),
    "csv": (to_csv, "text/csv; charset=utf-8"),
    "parquet": (to_parquet, "application/vnd.apache.parquet"),
    "votable": (to_votable, "application/x-votable+xml"),
}
"""Formats by name: the function that writes one, and its media type."""


def _quoted(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        texts = [None if v is None else json.dumps(json_value(v)) for v in values.to_pylist()]
        values = pa.chunked_array([pa.array(texts, pa.string())])
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    safe = [None if text is None else _harmless(text) for text in values.to_pylist()]
    return pa.chunked_array([pa.array(safe, pa.string())])


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _in_xml(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
