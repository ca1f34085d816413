"""What the page on classes shows, worked out from counts: pure functions, no Gradio, no HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts, NightCounts
from finkray.text import count_text, share_text, time_text
from ui.tables import Cell, Level, Table
from ui.view import Banner, Reading, unheard

PATH: Final = "/classification"

CLASSIFY_HINT: Final = "no alert has a class yet; start it with: finkray start classify"

NOT_CHECKED: Final = "not checked"
"""The class of alerts of which a catalogue could not tell; see docs/classify.md."""

_PLAIN: Final = ("Unknown", "ok", "error", "skipped")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the page says: all may be empty.

    Attributes
    ----------
    results
        name and version, as classify/1
    night
        as 2026-11-24
    name
        a class
    """

    results: str = ""
    night: str = ""
    name: str = ""

    @property
    def href(self) -> str:
        """The address of the page that shows it."""
        words = {"results": self.results, "night": self.night, "class": self.name}
        return f"{PATH}?{urlencode({key: word for key, word in words.items() if word})}"


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: some results, a night of them, and the class whose alerts are listed."""

    counts: ClassCounts
    night: NightCounts
    name: str

    @property
    def asked(self) -> Asked:
        """What says exactly this."""
        return Asked(results_name(self.counts), self.night.night, self.name)


@dataclass(frozen=True, slots=True)
class Bar:
    """A class. `width` is from 0 to 1; `chosen`: the list is of it."""

    name: str
    alerts: str
    share: str
    width: float
    href: str
    level: Level = "good"
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """Something else that could be shown."""

    value: str
    label: str
    chosen: bool


def results_name(counts: ClassCounts) -> str:
    """How results are called in the address."""
    return f"{counts.name}/{counts.version}"


def choose(counts: Sequence[ClassCounts], asked: Asked) -> Shown | None:
    """What is shown: what was asked for where there is such a thing, else the newest.

    Of several results those of `classify`, of nights the last, of classes the largest.
    """
    there = [(one, latest) for one in counts if (latest := one.latest) is not None]
    if not there:
        return None
    named = [pair for pair in there if results_name(pair[0]) == asked.results]
    newest = max(there, key=lambda pair: (pair[0].name == "classify", pair[1].hours[:1]))
    results, latest = named[0] if named else newest
    night = results.night(asked.night) or latest
    name = asked.name if asked.name in night.classes else next(iter(night.classes))
    return Shown(results, night, name)


def class_banner(
    reading: Reading[tuple[ClassCounts, ...]], shown: Shown | None, now: datetime
) -> Banner:
    """Which night this is, how many alerts, and how many of them were not checked."""
    silent = unheard(reading, now)
    if silent is not None:
        return silent
    if shown is None:
        return Banner("quiet", CLASSIFY_HINT)
    night = shown.night
    missed = night.classes.get(NOT_CHECKED, 0)
    failed = night.classes.get("error", 0)
    details = [
        f"{shown.counts.name} {shown.counts.version}",
        f"{count_text(night.alerts)} alerts",
        f"{share_text(missed, night.alerts)} not checked" if missed else "all checked",
        *([f"{count_text(failed)} errors"] if failed else []),
        *(["no catalogue that tells types was there"] if missed and not night.catalogs else []),
        f"counted up to {time_text(shown.counts.at)}",
    ]
    level: Level = "bad" if failed else "warn" if missed else "good"
    return Banner(level, f"the night of {night.night}", tuple(details))


def bars(shown: Shown) -> tuple[Bar, ...]:
    """The classes of the night, the largest first."""
    night = shown.night
    longest = max(night.classes.values(), default=1)
    return tuple(
        Bar(
            name=name,
            alerts=count_text(alerts),
            share=share_text(alerts, night.alerts),
            width=alerts / longest,
            href=Asked(results_name(shown.counts), night.night, name).href,
            level=_level(name),
            chosen=name == shown.name,
        )
        for name, alerts in night.classes.items()
    )


def catalogs(shown: Shown) -> Table:
    """Which versions of which catalogues were asked in the night, and what they answered."""
    return Table(
        "catalogues that were asked",
        ("catalogue", "version", "match", "none", "not checked"),
        tuple(
            (
                Cell(use.catalog),
                Cell(use.version),
                Cell(count_text(use.alerts.get("match", 0)), number=True),
                Cell(count_text(use.alerts.get("none", 0)), number=True),
                Cell(
                    count_text(missed := use.alerts.get("not_checked", 0)),
                    "warn" if missed else "quiet",
                    number=True,
                ),
            )
            for use in shown.night.catalogs
        ),
        "none: only the packets tell of classes",
    )


def alerts_behind(shown: Shown, alerts: Sequence[ClassifiedAlert]) -> Table:
    """The alerts behind the chosen bar."""
    total = shown.night.classes[shown.name]
    return Table(
        f"the newest of {count_text(total)} alerts: {shown.name}",
        ("candid", "object", "came", "rule", "topic"),
        tuple(
            (
                Cell("-" if one.alert_id is None else str(one.alert_id)),
                Cell(one.object_id or "-"),
                Cell("-" if one.kafka_timestamp is None else time_text(one.kafka_timestamp)),
                Cell(one.why),
                Cell(one.topic),
            )
            for one in alerts
        ),
        "none any more",
        "candid and object are LSST's diaSourceId and diaObjectId; came: Kafka's timestamp",
    )


def night_options(shown: Shown) -> tuple[Option, ...]:
    """The nights that there are; without counts, which would change the list while it is open."""
    return tuple(
        Option(one.night, one.night, one.night == shown.night.night) for one in shown.counts.nights
    )


def result_options(counts: Sequence[ClassCounts], shown: Shown) -> tuple[Option, ...]:
    """The results that there are."""
    here = results_name(shown.counts)
    names = [results_name(one) for one in counts if one.nights]
    return tuple(Option(name, name, name == here) for name in names)


def _level(name: str) -> Level:
    if name == NOT_CHECKED:
        return "warn"
    if name == "error":
        return "bad"
    return "quiet" if name in _PLAIN else "good"
