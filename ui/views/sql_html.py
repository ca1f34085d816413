"""The SQL box of the page Archive: examples, the answer, its plot and files. Pure."""

import json
import shlex
from typing import Final
from urllib.parse import quote, urlencode

import pyarrow as pa

from finkray.json_values import json_value
from finkray.text import clipped, count_text
from ui.kit.elements import Cell, Column, Table
from ui.kit.markup import code_html, escaped, table_html
from ui.lookups.records import SqlAnswer
from ui.views.plot_svg import answer_svg

ROWS_SHOWN: Final = 200

ROWS_DRAWN: Final = 2000
"""Points of the plot, 0.2 MB."""

LARGEST_DRAWN: Final = 1e300
"""Differences of larger numbers overflow."""

EXAMPLES: Final = (
    (
        "ZTF: alerts by hour",
        """SELECT topic, year, month, day, hour, count(*) AS alerts
FROM ztf
GROUP BY ALL
ORDER BY ALL DESC
LIMIT 100""",
    ),
    (
        "ZTF: the brightest",
        """SELECT objectId, candid, candidate.magpsf AS mag, candidate.fid AS filter
FROM ztf
ORDER BY mag
LIMIT 20""",
    ),
    (
        "ZTF: objects with most alerts",
        """SELECT objectId, count(*) AS alerts, min(candidate.magpsf) AS brightest
FROM ztf
GROUP BY ALL
ORDER BY alerts DESC
LIMIT 20""",
    ),
    (
        "LSST: flux by band",
        """SELECT diaSource.band AS band, count(*) AS alerts, median(diaSource.psfFlux) AS njy
FROM lsst
GROUP BY ALL
ORDER BY ALL""",
    ),
    (
        "classes of classify",
        """SELECT "class", count(*) AS alerts
FROM classify
GROUP BY ALL
ORDER BY alerts DESC""",
    ),
)
"""Names and queries; the last one runs where `classify` ran."""


def box_html(path: str, text: str) -> str:
    """Return the form for a query, and the examples as links.

    Parameters
    ----------
    path
        Of the page, relative to the first one.
    text
        The query in the box.
    """
    links = "".join(
        f"<a href='{escaped(path + '?' + urlencode({'sql': query}))}#sql'>{escaped(name)}</a>"
        for name, query in EXAMPLES
    )
    rows = max(6, min(16, text.count("\n") + 2))
    # A newline right after the tag is dropped by the browser, so a query may begin with one.
    lines = "\n".join(escaped(line) for line in text.split("\n"))
    return (
        "<section class='fr-table fr-wide' id='sql'><h2>SQL, read-only (DuckDB)</h2>"
        f"<p class='fr-links'>{links}</p>"
        f"<form class='fr-sql' action='{escaped(path)}#sql' method='get'>"
        "<label for='fr-sql'>a SELECT over ztf, lsst, and the results of a service by its name; "
        "SHOW TABLES lists them</label>"
        f"<textarea id='fr-sql' name='sql' rows='{rows}' maxlength='10000' required "
        f"spellcheck='false'>\n{lines}</textarea><button type='submit'>run</button></form>"
        "</section>"
    )


def answer_html(answer: SqlAnswer, text: str, archive_uri: str, base_url: str) -> str:
    """Return the answer to a query as a table, as files, and how programs get the same.

    Parameters
    ----------
    answer
        The answer.
    text
        The query.
    archive_uri
        URI of the archive, for Python.
    base_url
        Address of the first page, for curl.
    """
    links = "".join(
        f"<a href='{escaped(query_path(text, name))}' download>{label}</a>"
        for name, label in (("parquet", "Parquet"), ("csv", "CSV"), ("votable", "VOTable"))
    )
    return (
        table_html(_table(answer), wide=True, tall=True)
        + _plot(answer.table)
        + "<section class='fr-table fr-wide'><h2>the answer as a file, and for programs</h2>"
        + f"<p class='fr-links'>{links}</p>"
        + code_html(python_text(text, answer.tables, archive_uri))
        + code_html(curl_text(text, base_url))
        + "</section>"
    )


def _plot(table: pa.Table) -> str:
    """Return the second column of numbers over the first; "" without two."""
    numbers = [
        place
        for place, kind in enumerate(table.schema.types)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind)
    ][:2]
    if len(numbers) < 2:
        return ""
    xs, ys = (table.column(place).to_pylist() for place in numbers)
    rows = [
        (float(x), float(y))
        for x, y in zip(xs, ys, strict=True)
        if x is not None and y is not None and abs(x) < LARGEST_DRAWN and abs(y) < LARGEST_DRAWN
    ]
    first, second = (clipped(table.column_names[place], 60) for place in numbers)
    drawn = answer_svg((first, second), rows[:ROWS_DRAWN])
    if not drawn:
        return ""
    cut = f", the first {ROWS_DRAWN} rows" if len(rows) > ROWS_DRAWN else ""
    title = escaped(f"{second} over {first}{cut}")
    return f"<section class='fr-table fr-wide'><h2>{title}</h2>{drawn}</section>"


def query_path(text: str, file_format: str) -> str:
    """Return the address of the answer to a query as a file, relative to the first page."""
    return f"api/v1/query?{urlencode({'sql': text, 'format': file_format}, quote_via=quote)}"


def python_text(text: str, tables: tuple[tuple[str, str], ...], archive_uri: str) -> str:
    """Return Python code that gives the same answer, without limits."""
    plain = '"""' not in text and "\\" not in text and not text.endswith('"')
    query = f'"""\n{text}\n"""' if plain else repr(text)
    opened = "".join(f"{name} = {python}\n" for name, python in tables)
    return (
        "import duckdb\nimport finkray\n\n"
        f"archive = finkray.open_archive({archive_uri!r})\n{opened}"
        f"answer = duckdb.sql({query}).to_arrow_table()"
    )


def curl_text(text: str, base_url: str) -> str:
    """Return a line of curl that gives the same answer as CSV."""
    return (
        f"curl -G {shlex.quote(base_url + 'api/v1/query')} -d format=csv "
        f"--data-urlencode {shlex.quote('sql=' + text)}"
    )


def _table(answer: SqlAnswer) -> Table:
    table = answer.table
    more = ", and more: the answer was cut" if answer.cut else ""
    shown = min(ROWS_SHOWN, table.num_rows)
    numbers = [
        str(each).startswith(("int", "uint", "float", "double")) for each in table.schema.types
    ]
    return Table(
        f"answer: {count_text(table.num_rows)} rows{more}"
        + (f"; the first {shown} are shown" if shown < table.num_rows else ""),
        tuple(
            Column(name or "(empty)", number=number)
            for name, number in zip(table.column_names, numbers, strict=True)
        ),
        tuple(
            tuple(Cell(_text(value)) for value in row.values())
            for row in table.slice(0, ROWS_SHOWN).to_pylist()
        ),
        "no row",
    )


def _text(value: object) -> str:
    plain = json_value(value)
    if plain is None:
        return "-"
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
