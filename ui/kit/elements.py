"""The elements of a page, as plain values: banner, figures, alarm cards, tables, bars, choices.

`ui.kit.markup` renders them as HTML, `ui.kit.terminal` as text for a terminal.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["good", "warn", "bad", "quiet"]
"""How an element is marked; each renderer has one colour for each level."""


class Button(NamedTuple):
    """A button that posts to an address; what is answered is shown in its place.

    Attributes
    ----------
    label
        What stands on it.
    description
        What it does, for a screen reader.
    post
        The address, relative to the first page.
    """

    label: str
    description: str
    post: str


class Cell(NamedTuple):
    """One cell of a table.

    Attributes
    ----------
    href
        Makes the text a link, if it is not empty.
    image
        Address of a picture that is shown in place of the text, which then describes it.
    is_wide
        Whether the picture is three times as wide as it is high, and no square.
    buttons
        Stand behind the text.
    note
        A text that stands below, smaller.
    """

    text: str
    level: Level = "quiet"
    href: str = ""
    image: str = ""
    is_wide: bool = False
    buttons: tuple[Button, ...] = ()
    note: str = ""


class Column(NamedTuple):
    """One column of a table.

    Attributes
    ----------
    name
        Head of the column; a table whose columns all have empty names has no head.
    number
        Align the cells to the right.
    detail
        Leave the column out on a terminal, which is too narrow for all columns.
    prose
        Its texts are long: they wrap, and take the width that the other columns leave.
    """

    name: str
    number: bool = False
    detail: bool = False
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title.

    Attributes
    ----------
    empty
        Shown in place of a table without rows.
    note
        Shown below the rows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Banner:
    """The first line of a page: a headline, and the facts that support it.

    Attributes
    ----------
    alarms
        Number of alarms, for the title of the browser's tab.
    old
        The rest of the page is out of date and is drawn paler.
    """

    level: Level
    headline: str
    details: tuple[str, ...] = ()
    alarms: int = 0
    old: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One large number. `share` (0 to 1) draws a bar below it."""

    label: str
    value: str
    note: str = ""
    level: Level = "quiet"
    share: float | None = None


@dataclass(frozen=True, slots=True)
class AlarmCard:
    """One alarm as text. `since` may be empty."""

    code: str
    since: str
    message: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a bar chart, which is a link.

    Attributes
    ----------
    width
        From 0 to 1.
    href
        Address without a slash at its start: a proxy may serve the pages below a path, and
        browsers resolve it against the base that Gradio gives to every page.
    """

    name: str
    value: str
    share: str
    width: float
    href: str
    level: Level = "good"
    chosen: bool = False


class Option(NamedTuple):
    """One option of a select box."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Select:
    """A select box; `name` is its parameter in the address."""

    name: str
    options: tuple[Option, ...]
