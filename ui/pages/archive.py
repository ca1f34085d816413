"""The page on what the archive has: nights, disk, audit, dead letters, and SQL."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from ui.kit.markup import (
    columns_html,
    figures_html,
    problem_html,
    table_html,
)
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.lookups.nights import newest_letters, nights_record, one_letter
from ui.lookups.process import LookupRefused, Lookups
from ui.lookups.records import night_of
from ui.lookups.sql import run_sql
from ui.sources import LAST_AUDIT, LOOKUPS, SQL, AuditOf
from ui.views.nights_html import (
    PATH,
    calendar_html,
    figures,
    hours_table,
    letter_html,
    letters_table,
    nights_table,
    parse_letter_name,
    reasons_table,
)
from ui.views.sql_html import EXAMPLES, answer_html, box_html


def nights_html(
    lookups: Lookups, query: Mapping[str, str], audit_of: AuditOf, now: datetime
) -> str:
    """Return nights, disk, audit and dead letters."""
    try:
        night = date.fromisoformat(query.get("night", ""))
    except ValueError:
        night = None
    try:
        record = lookups.ask(nights_record, night)
        letters = lookups.ask(newest_letters) if record.dead_letters_by_reason else ()
    except LookupRefused as error:
        return problem_html(f"cannot read the ledger: {error}")
    chosen = night_of(record.hours[0][0]) if record.hours else None
    return (
        figures_html(figures(record, audit_of(), now))
        + calendar_html(record.nights, chosen)
        + columns_html(
            table_html(nights_table(record.nights), tall=True),
            "<div>"
            + table_html(hours_table(record.hours), tall=True)
            + table_html(reasons_table(record.dead_letters_by_reason))
            + "</div>",
        )
        + (table_html(letters_table(letters), wide=True, tall=True) if letters else "")
    )


def dead_letter_html(lookups: Lookups, name: str) -> str:
    """Return the dead letter that the address names; "" if it names none."""
    if not name:
        return ""
    found = parse_letter_name(name)
    if found is None:
        return problem_html("the address names no dead letter: partition:offset:topic is expected")
    try:
        return letter_html(lookups.ask(one_letter, *found))
    except LookupRefused as error:
        return problem_html(str(error))


def sql_html(sql: Lookups, text: str, archive_uri: str, base_url: str) -> str:
    """Return the box for SQL, and the answer to the query of the address."""
    text = text.replace("\r\n", "\n").replace("\t", "  ").strip()
    box = box_html(PATH, text or EXAMPLES[0][1])
    if not text:
        return box
    try:
        answer = sql.ask(run_sql, text)
    except LookupRefused as error:
        return box + problem_html(str(error))
    return box + answer_html(answer, text, archive_uri, base_url)


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    lookups, sql = inputs.function(LOOKUPS), inputs.function(SQL)
    audit_of = inputs.function(LAST_AUDIT)
    looking = problem_html("looking …")
    nights, letter, answer = gr.HTML(looking), gr.HTML(), gr.HTML(looking)

    def load_nights(opening: gr.Request) -> tuple[str, str]:
        query = opening.query_params
        return (
            nights_html(lookups, query, audit_of, datetime.now(UTC)),
            dead_letter_html(lookups, query.get("letter", "")),
        )

    def load_answer(opening: gr.Request) -> str:
        base_url = inputs.base_url(opening.headers)
        return sql_html(sql, opening.query_params.get("sql", ""), lookups.uri, base_url)

    # Two events: a query that takes long does not keep the nights waiting.
    blocks.load(load_nights, None, [nights, letter], **QUIET)
    blocks.load(load_answer, None, [answer], **QUIET)


PAGE: Final = Page(
    f"/{PATH}",
    "Archive",
    (LOOKUPS, SQL, LAST_AUDIT),
    _build,
    css=Path(__file__).with_name("archive.css"),
)
