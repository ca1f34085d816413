"""The classes of a night, from its counts."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from finkray.results.counts import ClassCounts, NightCounts
from finkray.text import count_text, share_text
from ui.kit.elements import Cell, Column, Level, Table

NOT_CHECKED: Final = "not checked"
"""The class of alerts for which a catalogue could not answer; see docs/classify.md."""

_LEVEL: Final[dict[str, Level]] = {
    NOT_CHECKED: "warn",
    "error": "bad",
    "Unknown": "quiet",
    "ok": "quiet",
    "skipped": "quiet",
}
"""How the classes that name no type of object are marked."""


class ClassShare(NamedTuple):
    """One class of a night. `width` is its size beside the largest class, from 0 to 1."""

    name: str
    alerts: str
    share: str
    width: float
    level: Level


def shown_class(name: str) -> str:
    """Return the name of a class as people see it: a service may call one by an empty text."""
    return name or "(empty)"


def latest_class_names(counts: Iterable[ClassCounts]) -> list[str]:
    """Return the names of the classes of the newest nights, sorted, for a list to choose from."""
    nights = (each.latest for each in counts)
    names = {name for night in nights if night is not None for name in night.classes}
    return sorted(names - {""})


def counted_nights(counts: Iterable[ClassCounts]) -> list[str]:
    """Return the nights of which alerts have classes, the newest first."""
    return sorted({night.night for each in counts for night in each.nights}, reverse=True)


def class_shares(night: NightCounts) -> tuple[ClassShare, ...]:
    """Return the classes of a night, the largest first."""
    largest = max(night.classes.values(), default=1)
    return tuple(
        ClassShare(
            name,
            count_text(alerts),
            share_text(alerts, night.alerts),
            alerts / largest,
            _LEVEL.get(name, "good"),
        )
        for name, alerts in night.classes.items()
    )


def classes_table(title: str, night: NightCounts, limit: int | None = None) -> Table:
    """Return the classes of a night as a table; those beyond `limit` share one row."""
    shares = class_shares(night)
    rows = [
        (Cell(shown_class(share.name), share.level), Cell(share.alerts), Cell(share.share))
        for share in shares[:limit]
    ]
    rest = [*night.classes.values()][len(rows) :]
    if rest:
        rows.append(
            (
                Cell(f"{len(rest)} more classes"),
                Cell(count_text(sum(rest))),
                Cell(share_text(sum(rest), night.alerts)),
            )
        )
    return Table(
        title,
        (Column("class"), Column("alerts", number=True), Column("share", number=True)),
        tuple(rows),
        "none",
    )
