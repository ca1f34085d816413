"""What services found for the newest alert of an object, as a table."""

import json

from finkray.json_values import json_value
from ui.kit.elements import Cell, Column, Table
from ui.lookups.records import ResultsRecord


def newest_results_table(results: ResultsRecord) -> Table:
    """Return a row for each column of a result that has a value."""
    rows = []
    for name, found in results.newest:
        for column, value in found.items():
            if value is None or (column == "reason" and not value):
                continue
            text = value if isinstance(value, str) else json.dumps(json_value(value))
            rows.append((Cell(name), Cell(column), Cell(text)))
    return Table(
        "what services found for the newest alert",
        (Column("service"), Column("column"), Column("value", prose=True)),
        tuple(rows),
        "no service has a result for it",
    )
