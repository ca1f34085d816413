"""The first page: the archive as it is now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from ui.history import KEPT, STEP_S, ArchiveHistory
from ui.kit.elements import AlarmCard, Banner
from ui.kit.markup import (
    alarms_html,
    banner_html,
    facts_html,
    figures_html,
    notice_html,
    table_grid_html,
    table_html,
)
from ui.kit.offline_gradio import gr
from ui.kit.page import Page, PageInputs
from ui.kit.reading import Reading
from ui.sources import AT_REST, ENDED_JOBS, SERVICES, STATUS, STREAMOUT
from ui.views.archive import (
    alarm_cards,
    archive_banner,
    archive_facts,
    figures,
    kafka_away_since,
    last_visit_banner,
)
from ui.views.archive_tables import (
    actors_table,
    balance_table,
    dead_letters_table,
    latency_table,
    micro_batches_table,
    partitions_table,
    past_alarms_table,
    visits_table,
)
from ui.views.at_rest import at_rest_banner
from ui.views.latency_svg import latency_svg
from ui.views.rates_svg import rates_svg, time_axis
from ui.views.services import service_cards
from ui.views.streamout import streamout_cards

LARGE_EVERY: Final = 5
"""Updates of the figures for one of the curves and the large tables, which are 17 of 22 kB: a tab
may get 10 kB a second."""

PERIODS: Final = {
    "10 min": timedelta(minutes=10),
    "1 h": timedelta(hours=1),
    "night": KEPT,
}
"""Spans of the curves; beyond a snapshot's history, values are known since the page was started."""

_IN_SNAPSHOT: Final = timedelta(minutes=10)

_MOST_LATENCIES: Final = 200
"""Points of each of the three curves of latency: 5 kB each time."""

_NOTHING: Final = "<div class='fr-nothing'></div>"
"""Marks the page while no snapshot is there."""


def head_html(
    reading: Reading[Snapshot],
    now: datetime,
    at_rest: ArchiveAtRest | None = None,
    others: tuple[AlarmCard, ...] = (),
    folder_problem: str | None = None,
) -> str:
    """Return the banner, the alarms, the last visit and the large figures.

    Parameters
    ----------
    reading
        The last answer of the archive.
    now
        The time.
    at_rest
        How the archive is according to its folder, if it does not report.
    others
        Alarms that are not the archive's.
    folder_problem
        Why the folder cannot tell how the archive is; None if it can, or need not.
    """
    shown = archive_banner(reading, now)
    if at_rest is not None and reading.problem is None:
        shown = at_rest_banner(at_rest, now)
    elif reading.value is None and reading.problem is None and folder_problem is not None:
        shown = Banner(
            "bad", "no archive reports, and its folder cannot be read", (folder_problem,)
        )
    if others:
        more = f"jobs: {len(others)} alarm{'s' if len(others) > 1 else ''}"
        details = (*shown.details, more)
        shown = replace(shown, level="bad", details=details, alarms=shown.alarms + len(others))
    banner = banner_html(shown)
    snapshot = reading.value
    if snapshot is None:
        return banner + alarms_html(others) + _NOTHING
    visit = last_visit_banner(snapshot, now)
    return (
        banner
        + alarms_html((*others, *alarm_cards(snapshot, now)))
        + (notice_html(visit) if visit else "")
        + figures_html(figures(snapshot))
    )


def curves_html(snapshot: Snapshot | None, history: ArchiveHistory, period: str) -> str:
    """Return the curves of a period, and the links that choose one; "" without a snapshot.

    Parameters
    ----------
    snapshot
        The last answer of the archive, with the rates of its last minutes.
    history
        Rates and latencies since the page was started.
    period
        A name of `PERIODS`; any other is the first.
    """
    if snapshot is None or not snapshot.history:
        return ""
    chosen = period if period in PERIODS else next(iter(PERIODS))
    span = PERIODS[chosen]
    points = history.rates.last(span)
    if span <= _IN_SNAPSHOT:  # in full detail
        newest = snapshot.history[-1].at
        points = tuple(point for point in snapshot.history if point.at >= newest - span)
    links = "".join(
        f"<a href='.?period={quote(name)}'{' aria-current=true' if name == chosen else ''}>"
        f"{name}</a>"
        for name in PERIODS
    )
    shown = snapshot.model_copy(update={"history": points or snapshot.history})
    axis = time_axis(shown)
    latencies = history.latencies.last(span, _MOST_LATENCIES)
    longest_gap = 3 * max(timedelta(seconds=STEP_S), span / _MOST_LATENCIES)
    return (
        f"<p class='fr-switch'>{links}</p>{rates_svg(shown)}"
        f"{latency_svg(latencies, axis.begin, max(axis.end, snapshot.at), longest_gap)}"
    )


def small_tables_html(snapshot: Snapshot | None) -> str:
    """Return the balance sheet, latency, dead letters and micro-batches, side by side."""
    if snapshot is None:
        return ""
    return table_grid_html(
        (
            balance_table(snapshot.balance, kafka_away=kafka_away_since(snapshot) is not None),
            latency_table(snapshot.latency),
            dead_letters_table(snapshot.dead_letters_by_reason),
            micro_batches_table(snapshot.micro_batch),
        )
    )


def wide_tables_html(snapshot: Snapshot | None) -> str:
    """Return visits, past alarms, actors and partitions, and which archive this is."""
    if snapshot is None:
        return ""
    return (
        table_html(visits_table(snapshot.visits), wide=True, tall=True)
        + table_html(past_alarms_table(snapshot.past_alarms), wide=True, tall=True)
        + table_html(actors_table(snapshot.actors), wide=True)
        + table_html(partitions_table(snapshot.partitions), wide=True, tall=True)
        + facts_html(archive_facts(snapshot))
    )


def _build(_: gr.Blocks, inputs: PageInputs) -> None:
    latest = inputs.latest(STATUS)
    at_rest, ended = inputs.latest(AT_REST), inputs.latest(ENDED_JOBS)
    services, streamout = inputs.latest(SERVICES), inputs.latest(STREAMOUT)

    def figures_and_small_tables(_: Mapping[str, str]) -> tuple[str, str]:
        reading, folder = latest(), at_rest()
        now, sent = datetime.now(UTC), streamout().value
        others = (*(ended().value or ()), *service_cards(services().value or (), now))
        if sent is not None:
            others += streamout_cards(sent, now)
        return (
            head_html(reading, now, folder.value, others, folder.problem),
            small_tables_html(reading.value),
        )

    history = ArchiveHistory()
    inputs.listen(STATUS, history.add)

    def curves_and_large_tables(query: Mapping[str, str]) -> tuple[str, str]:
        snapshot = latest().value
        return curves_html(snapshot, history, query.get("period", "")), wide_tables_html(snapshot)

    def snapshot() -> dict[str, Any] | None:
        """The newest snapshot as `finkray status --json` prints it; null when there is none."""
        newest = latest().value
        return None if newest is None else newest.model_dump(mode="json")

    small = inputs.follow("live", figures_and_small_tables)
    large = inputs.follow("live-large", curves_and_large_tables, LARGE_EVERY)
    for placed in (small(0), large(0), small(1), large(1)):
        gr.HTML(placed)
    gr.api(snapshot, api_name="snapshot", queue=False)


PAGE: Final = Page(
    "/",
    "Live",
    (STATUS, AT_REST, ENDED_JOBS, SERVICES, STREAMOUT),
    _build,
    css=Path(__file__).with_name("live.css"),
)
