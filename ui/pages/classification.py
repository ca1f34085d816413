"""The page on classes: the classes of a night, and the alerts behind each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import pyarrow as pa

from finkray.errors import FinkrayError
from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts, NightCounts
from finkray.text import count_text, error_text, share_text, time_text
from ui.kit.elements import Banner, Bar, Cell, Column, Level, Option, Select, Table
from ui.kit.markup import (
    banner_html,
    bars_html,
    choice_form_html,
    columns_html,
    problem_html,
    table_html,
)
from ui.kit.offline_gradio import gr
from ui.kit.page import Page, PageInputs
from ui.kit.reading import Reading, failure_banner
from ui.sources import CLASS_COUNTS, CLASS_LISTS
from ui.views.classes import NOT_CHECKED, class_shares, shown_class
from ui.views.object_html import ObjectChoice

PATH: Final = "classification"

CLASSIFY_HINT: Final = "no alert has a class yet; start it with: finkray start classify"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the address of the page chooses.

    Attributes
    ----------
    results
        Name and version of results, as classify/1; empty: not chosen.
    night
        An observing night, as 2026-11-24; empty: not chosen.
    name
        A class, whose name may be empty; None: not chosen.
    """

    results: str = ""
    night: str = ""
    name: str | None = None

    @property
    def href(self) -> str:
        """Return the address that makes this choice, relative to the first page."""
        parameters = {"results": self.results, "night": self.night}
        chosen = {key: value for key, value in parameters.items() if value}
        if self.name is not None:
            chosen["class"] = self.name
        return f"{PATH}?{urlencode(chosen)}"


@dataclass(frozen=True, slots=True)
class Selection:
    """What the page shows: results, a night of them, and the class whose alerts are listed."""

    counts: ClassCounts
    night: NightCounts
    name: str

    @property
    def choice(self) -> Choice:
        """Return the choice of exactly this."""
        return Choice(results_name(self.counts), self.night.night, self.name)


def results_name(counts: ClassCounts) -> str:
    """Return the name of results in the address."""
    return f"{counts.name}/{counts.version}"


def select(counts: Sequence[ClassCounts], choice: Choice) -> Selection | None:
    """Return what was chosen where that exists, else the newest; None without any class.

    Of several results those of `classify`, of nights the last, of classes the largest.
    """
    there = [(results, latest) for results in counts if (latest := results.latest) is not None]
    if not there:
        return None
    chosen = [pair for pair in there if results_name(pair[0]) == choice.results]
    newest = max(there, key=lambda pair: (pair[0].name == "classify", pair[1].hours[:1]))
    results, latest = chosen[0] if chosen else newest
    night = results.night(choice.night) or latest
    name = choice.name
    if name is None or name not in night.classes:
        name = next(iter(night.classes))
    return Selection(results, night, name)


def class_banner(
    reading: Reading[tuple[ClassCounts, ...]], selection: Selection | None, now: datetime
) -> Banner:
    """Say which night this is, how many alerts it has, and how many were not checked."""
    failure = failure_banner(reading, now, "the classes")
    if failure is not None:
        return failure
    if selection is None:
        return Banner("quiet", CLASSIFY_HINT)
    night = selection.night
    missed = night.classes.get(NOT_CHECKED, 0)
    failed = night.classes.get("error", 0)
    details = [
        f"{selection.counts.name} {selection.counts.version}",
        f"{count_text(night.alerts)} alerts",
        f"{share_text(missed, night.alerts)} not checked" if missed else "all checked",
        *([f"{count_text(failed)} errors"] if failed else []),
        *(["no catalogue with object types was loaded"] if missed and not night.catalogs else []),
        f"counted up to {time_text(selection.counts.at)}",
    ]
    level: Level = "bad" if failed else "warn" if missed else "good"
    return Banner(level, f"the night of {night.night}", tuple(details))


def class_bars(selection: Selection) -> tuple[Bar, ...]:
    """Return a bar for each class of the night, the largest first."""
    results, night = results_name(selection.counts), selection.night
    return tuple(
        Bar(
            name=shown_class(share.name),
            value=share.alerts,
            share=share.share,
            width=share.width,
            href=Choice(results, night.night, share.name).href,
            level=share.level,
            chosen=share.name == selection.name,
        )
        for share in class_shares(night)
    )


def catalogs_table(night: NightCounts) -> Table:
    """Return which versions of which catalogues were searched in the night, and the answers."""
    return Table(
        "catalogues searched",
        (
            Column("catalogue"),
            Column("version"),
            *(Column(name, number=True) for name in ("match", "none", "not checked")),
        ),
        tuple(
            (
                Cell(use.catalog),
                Cell(use.version),
                Cell(count_text(use.alerts.get("match", 0))),
                Cell(count_text(use.alerts.get("none", 0))),
                Cell(
                    count_text(missed := use.alerts.get("not_checked", 0)),
                    "warn" if missed else "quiet",
                ),
            )
            for use in night.catalogs
        ),
        "none: classes come from the packets alone",
    )


def alerts_table(selection: Selection, alerts: Sequence[ClassifiedAlert]) -> Table:
    """Return the alerts behind the chosen bar."""
    total = selection.night.classes[selection.name]
    return Table(
        f"the newest of {count_text(total)} alerts: {shown_class(selection.name)}",
        tuple(Column(name) for name in ("candid", "object", "arrived", "rule", "topic")),
        tuple(
            (
                Cell("-" if alert.alert_id is None else str(alert.alert_id)),
                Cell(
                    alert.object_id or "-",
                    href=ObjectChoice(alert.object_id).href() if alert.object_id else "",
                ),
                Cell("-" if alert.kafka_timestamp is None else time_text(alert.kafka_timestamp)),
                Cell(alert.why),
                Cell(alert.topic),
            )
            for alert in alerts
        ),
        "none left",
        "candid and object: LSST's diaSourceId and diaObjectId; arrived: the Kafka timestamp",
    )


def night_options(selection: Selection) -> tuple[Option, ...]:
    """Return the nights to choose from, without counts: those would change an open list."""
    chosen = selection.night.night
    return tuple(
        Option(night.night, night.night, night.night == chosen) for night in selection.counts.nights
    )


def result_options(counts: Sequence[ClassCounts], selection: Selection) -> tuple[Option, ...]:
    """Return the results to choose from."""
    chosen = results_name(selection.counts)
    names = [results_name(results) for results in counts if results.nights]
    return tuple(Option(name, name, name == chosen) for name in names)


def head_html(
    reading: Reading[tuple[ClassCounts, ...]], selection: Selection | None, now: datetime
) -> str:
    """Return the banner."""
    return banner_html(class_banner(reading, selection, now))


def choice_html(counts: Sequence[ClassCounts], selection: Selection | None) -> str:
    """Return the form that chooses night and results."""
    if selection is None:
        return ""
    nights = Select("night", night_options(selection))
    results = Select("results", result_options(counts, selection))
    return choice_form_html((nights, results))


def chart_html(selection: Selection | None) -> str:
    """Return the bars, each a link to its list, and the catalogues beside them."""
    if selection is None:
        return ""
    return columns_html(
        bars_html("alerts by class", class_bars(selection)),
        table_html(catalogs_table(selection.night)),
    )


def list_html(selection: Selection | None, alerts: Sequence[ClassifiedAlert], problem: str) -> str:
    """Return the alerts behind the chosen bar, or why they cannot be read."""
    if selection is None:
        return ""
    if problem:
        return problem_html(f"cannot read the list: {problem}")
    return table_html(alerts_table(selection, alerts), wide=True, tall=True)


def _build(_: gr.Blocks, inputs: PageInputs) -> None:
    latest = inputs.latest(CLASS_COUNTS)
    list_of = inputs.function(CLASS_LISTS)

    def shown(query: Mapping[str, str]) -> tuple[str, str, str, str]:
        choice = Choice(query.get("results", ""), query.get("night", ""), query.get("class"))
        reading = latest()
        counts = reading.value or ()
        selection = select(counts, choice)
        alerts: tuple[ClassifiedAlert, ...] = ()
        problem = ""
        if selection is not None:
            try:
                alerts = list_of(selection.counts, selection.night, selection.name)
            except (FinkrayError, OSError, pa.ArrowException) as error:
                problem = error_text(error)
        return (
            head_html(reading, selection, datetime.now(UTC)),
            choice_html(counts, selection),
            chart_html(selection),
            list_html(selection, alerts, problem),
        )

    def classes() -> list[dict[str, Any]]:
        """The counts by class and night of all results that have classes."""
        return [
            results.model_dump(mode="json", exclude={"cursor"}) for results in latest().value or ()
        ]

    placed = inputs.follow("classes", shown)
    for part in range(4):
        gr.HTML(placed(part))
    gr.api(classes, api_name="classes", queue=False)


PAGE: Final = Page(f"/{PATH}", "Classification", (CLASS_COUNTS, CLASS_LISTS), _build)
