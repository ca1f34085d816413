"""Read-only SQL over an archive, by DuckDB. Runs in a process of its own, with limits.

Each query has a connection of its own to a database in memory. What keeps it from the machine, each
tried with an attack in `tests/unit/ui/lookups/test_sql.py`:

    enable_external_access=false       no file, no folder, no network: neither read nor written
    python_enable_replacements=false   no Python variable is a table
    lock_configuration=true            no SET of the above
    a single statement of type SELECT  no DROP, COPY, ATTACH, INSTALL, PRAGMA, CALL
    TABLE_FUNCTIONS                    no read_csv, glob, query, nor arrow_scan of an address
    `Lookups`                          time, memory, and the processor's priority

The archive is a pyarrow dataset, which reads the files itself: DuckDB could read them only with a
permission that also allows it to write there.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from finkray.curves.topics import topics
from finkray.reader import Archive
from finkray.results.store import list_stores
from finkray.surveys import SURVEYS
from ui.formats import FORMATS
from ui.lookups.objects import storage_of
from ui.lookups.process import LookupRefused
from ui.lookups.records import SqlAnswer, SqlFile

if TYPE_CHECKING:
    import duckdb

MOST_ROWS: Final = 10_000
"""Most rows of an answer; for more there is `finkray.open_archive`."""

MOST_BYTES: Final = 64 << 20
"""Most bytes of an answer as Arrow: 500 alerts with their images take 32 MiB."""

MOST_CHARACTERS: Final = 10_000
"""Most characters of a query."""

TIMEOUT_S: Final = 10.0
"""A group-by over a million alerts takes 4 s."""

WAITING: Final = 2
"""Queries that may wait for their turn."""

DATA_BYTES: Final = 2 << 30
"""Most private memory of the process. DuckDB's `memory_limit` does not bound a single value:
`repeat('x', 1000000000)` took 2.2 GB in spite of it."""

TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest"})
"""The functions that may stand where a table stands."""

_SETTINGS: Final = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",  # a large sort fails; it does not fill the disk
    "memory_limit": "1GB",
    "threads": "1",
}

_BATCH_ROWS: Final = 256


def run_sql(archive: Archive, text: str) -> SqlAnswer:
    """Return the answer to a query.

    The tables are `ztf` and `lsst`, the alerts of a survey; `alerts`, where the archive has alerts
    of one survey alone; and the results of each service by its name.

    Raises
    ------
    LookupRefused
        It is not a single SELECT, or DuckDB refuses it.
    """
    import duckdb

    if len(text) > MOST_CHARACTERS:
        raise LookupRefused(f"a query has at most {MOST_CHARACTERS} characters")
    connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
    try:
        tree = _tree_of_select(connection, text)
        tables = list(_tables(archive, tree))
        for table in tables:
            connection.register(table.name, table.dataset)
        connection.execute("SET lock_configuration = true")
        reader = connection.sql(text).to_arrow_reader(_BATCH_ROWS)
        return _first_rows(reader, tuple((table.name, table.python) for table in tables))
    except (duckdb.Error, UnicodeError) as error:
        raise LookupRefused(f"DuckDB: {error}") from error
    finally:
        connection.close()


def sql_file(archive: Archive, text: str, file_format: str) -> SqlFile:
    """Return the answer to a query as a file of `ui.formats.FORMATS`.

    Raises
    ------
    LookupRefused
        As `run_sql`.
    """
    answer = run_sql(archive, text)
    write, _ = FORMATS[file_format]
    return SqlFile(write(answer.table), answer.cut)


def _tree_of_select(connection: "duckdb.DuckDBPyConnection", text: str) -> Any:
    """Return the syntax tree of a single SELECT whose table functions are all allowed."""
    import duckdb

    statements = duckdb.extract_statements(text)
    types = [statement.type for statement in statements]
    if types != [duckdb.StatementType.SELECT]:
        found = ", ".join(each.name for each in types) or "nothing"
        raise LookupRefused(f"expected one SELECT, found {found}: the archive is read-only")
    (row,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    tree = json.loads(row[0])
    if tree["error"]:
        raise LookupRefused(f"DuckDB cannot tell what it reads: {tree['error_message']}")
    for node in _nodes(tree, "TABLE_FUNCTION"):
        name = str(node["function"]["function_name"]).lower()
        if name not in TABLE_FUNCTIONS:
            allowed = ", ".join(sorted(TABLE_FUNCTIONS))
            raise LookupRefused(f"{name}() is no table that may be read; functions: {allowed}")
    return tree


def _nodes(node: Any, node_type: str) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a type in a syntax tree."""
    if isinstance(node, dict):
        if node.get("type") == node_type:
            yield node
        for value in node.values():
            yield from _nodes(value, node_type)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value, node_type)


class _SqlTable(NamedTuple):
    """A table: its name, what it reads, and the Python expression that reads the same."""

    name: str
    dataset: Any
    python: str


def _tables(archive: Archive, tree: Any) -> Iterator[_SqlTable]:
    """Yield the tables that a query names, or all for SHOW TABLES: opening one lists its files."""
    everything = any(node["show_type"] == "SHOW_SPECIAL" for node in _nodes(tree, "SHOW_REF"))
    named = {str(node["table_name"]).lower() for node in _nodes(tree, "BASE_TABLE")}
    if everything or "alerts" in named:
        try:
            yield _SqlTable("alerts", archive.dataset(), "archive.dataset()")
        except ValueError as error:  # of both surveys
            if not everything:
                names = " or ".join(SURVEYS)
                raise LookupRefused(f"name {names} in place of alerts: {error}") from error
    if everything or named & SURVEYS.keys():
        of_survey: dict[str, list[str]] = {}
        for topic in topics(storage_of(archive)):
            of_survey.setdefault(topic.survey, []).append(topic.name)
        for survey, of_it in of_survey.items():
            if everything or survey in named:
                python = f"archive.dataset(topic={of_it!r})"
                yield _SqlTable(survey, archive.dataset(topic=of_it), python)
    stores = {store.name for store in list_stores(storage_of(archive))}
    for name in sorted(stores - {"alerts", *SURVEYS}):
        if everything or name.lower() in named:
            yield _SqlTable(name, archive.results(name), f"archive.results({name!r})")


def _first_rows(reader: pa.RecordBatchReader, tables: tuple[tuple[str, str], ...]) -> SqlAnswer:
    batches: list[pa.RecordBatch] = []
    rows, size, cut = 0, 0, False
    for batch in reader:
        batches.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows > MOST_ROWS or size > MOST_BYTES:
            cut = True
            break
    table = pa.Table.from_batches(batches, reader.schema)
    if cut:  # a copy: a slice would be sent with the bytes of the rows that are left out
        most = min(MOST_ROWS, rows * MOST_BYTES // max(size, MOST_BYTES))
        table = table.take(pa.array(range(most), pa.int64()))
    return SqlAnswer(_plain(table), tables, cut)


def _plain(table: pa.Table) -> pa.Table:
    """Return a table in types that every format has, and with names that differ."""
    names: list[str] = []
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        number, free = 1, name
        while free in names:
            free, number = f"{name}_{number}", number + 1
        names.append(free)
        columns.append(_plain_column(column))
    return pa.table(columns, names=names)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_decimal(column.type):  # of sums
        whole = column.type.scale == 0
        try:
            return column.cast(pa.int64() if whole else pa.float64())
        except pa.ArrowInvalid:
            return column.cast(pa.float64())
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, column.type.value_type)
    if pa.types.is_interval(column.type) or pa.types.is_null(column.type):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column
