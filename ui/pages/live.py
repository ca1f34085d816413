"""The first page: the archive as it is now."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from ui.kit.elements import AlarmCard
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
from ui.kit.page import QUIET, Page, PageInputs
from ui.kit.reading import Reading
from ui.sources import AT_REST, ENDED_JOBS, STATUS
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

CURVE_COLOURS: Final = {"incoming": "#4c8fd6", "archiving": "#e08a3c"}
"""Distinct for colour-blind readers, on white and on black."""

_NOTHING: Final = "<div class='fr-nothing'></div>"
"""Hides the curves (`live.css`) while no snapshot is there."""


def head_html(
    reading: Reading[Snapshot],
    now: datetime,
    at_rest: ArchiveAtRest | None = None,
    ended: tuple[AlarmCard, ...] = (),
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
    ended
        The jobs that ended without being stopped.
    """
    shown = archive_banner(reading, now)
    if at_rest is not None and reading.problem is None:
        shown = at_rest_banner(at_rest, now)
    banner = banner_html(replace(shown, alarms=shown.alarms + len(ended)), now)
    snapshot = reading.value
    if snapshot is None:
        return banner + alarms_html(ended) + _NOTHING
    visit = last_visit_banner(snapshot, now)
    return (
        banner
        + alarms_html((*ended, *alarm_cards(snapshot, now)))
        + (notice_html(visit) if visit else "")
        + figures_html(figures(snapshot))
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


def curves(snapshot: Snapshot | None) -> pd.DataFrame:
    """Return the two rates over the snapshot's history.

    Returns
    -------
    pandas.DataFrame
        One row for each point of each curve: `minutes` (float, minutes before the
        snapshot, at most 0), `alerts_per_s` (float) and `curve` ("incoming" or "archiving").
        Minutes and not clock times, for the plot shows those in the browser's time zone
        while the rest of the page is in UTC. Without a history each curve has one point
        that is NaN: the plot takes its colours and its legend from the first data it gets.
    """
    points = (
        [
            (
                (point.at - snapshot.at).total_seconds() / 60,
                point.incoming_per_s,
                point.archived_per_s,
            )
            for point in snapshot.history
        ]
        if snapshot is not None and snapshot.history
        else [(0.0, math.nan, math.nan)]
    )
    wide = pd.DataFrame(points, columns=["minutes", "incoming", "archiving"], dtype="float64")
    return wide.melt("minutes", var_name="curve", value_name="alerts_per_s")


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    latest = inputs.latest(STATUS)
    at_rest, ended = inputs.latest(AT_REST), inputs.latest(ENDED_JOBS)
    head = gr.HTML()
    plot = gr.LinePlot(
        curves(None),
        x="minutes",
        y="alerts_per_s",
        color="curve",
        color_map=CURVE_COLOURS,
        x_title="minutes",
        y_title="alerts/s",
        color_title=" ",
        y_lim=[0, None],
        height=260,
        elem_id="rates",
    )
    small = gr.HTML()
    wide = gr.HTML()

    def update() -> tuple[str, pd.DataFrame, str, str]:
        reading = latest()
        return (
            head_html(reading, datetime.now(UTC), at_rest().value, ended().value or ()),
            curves(reading.value),
            small_tables_html(reading.value),
            wide_tables_html(reading.value),
        )

    def snapshot() -> dict[str, Any] | None:
        """The newest snapshot as `finkray status --json` prints it; null when there is none."""
        newest = latest().value
        return None if newest is None else newest.model_dump(mode="json")

    gr.on(
        [blocks.load, gr.Timer(inputs.refresh_s).tick],
        update,
        outputs=[head, plot, small, wide],
        **QUIET,
    )
    gr.api(snapshot, api_name="snapshot", queue=False)


PAGE: Final = Page(
    "/",
    "Live",
    (STATUS, AT_REST, ENDED_JOBS),
    _build,
    css=Path(__file__).with_name("live.css"),
)
