"""`finkray object`: an object as text for a terminal."""

from rich.console import Group, RenderableType

from finkray.text import count_text
from ui.kit.terminal import facts_text, line_text, table_text
from ui.lookups.records import ObjectRecord
from ui.views.alert_way import alerts_table, way_table
from ui.views.class_history import class_history_table
from ui.views.newest_results import newest_results_table


def object_text(record: ObjectRecord) -> RenderableType:
    """Return what the page of an object has, without pictures: the way is of the newest alert."""
    facts = [
        ("object", record.object_id),
        ("survey", record.survey),
        ("points of the light curve", count_text(record.points.num_rows)),
    ]
    tables = [
        alerts_table(record.alerts, lambda _: ""),
        *(way_table(alert) for alert in record.alerts.slice(0, 1).to_pylist()),
        newest_results_table(record.results),
        class_history_table(record.results.classes),
    ]
    problems = [
        line_text(problem, "bold red") for problem in (*record.problems, *record.results.problems)
    ]
    return Group(
        facts_text(facts),
        *(part for table in tables for part in ("", table_text(table))),
        *problems,
    )
