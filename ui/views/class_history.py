"""The classes that the alerts of an object got over time, as a table."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from finkray.text import count_text
from ui.kit.elements import Cell, Column, Table
from ui.lookups.records import MOST_CLASSES, GivenClass
from ui.views.classes import shown_class
from ui.views.curve_svg import utc_text


def class_history_table(classes: Iterable[GivenClass]) -> Table:
    """Return a row for each time in which results gave one class, the newest of each first.

    Parameters
    ----------
    classes
        In any order.
    """
    in_time = sorted(classes, key=lambda each: (each.results, _sort_key(each)))
    rows: list[tuple[Cell, ...]] = []
    for _, of_results in groupby(in_time, lambda each: each.results):
        changes = [list(same) for _, same in groupby(of_results, lambda each: each.name)]
        rows += map(_row, reversed(changes))
    return Table(
        "classes over time",
        (
            Column("results"),
            Column("class"),
            Column("from"),
            Column("to"),
            Column("alerts", number=True),
        ),
        tuple(rows),
        "no service gave its alerts a class",
        f"of the newest {MOST_CLASSES} alerts at most; from and to are exposures",
    )


def _sort_key(given: GivenClass) -> float:
    return -1.0 if given.mjd_tai is None else given.mjd_tai


def _row(same: Sequence[GivenClass]) -> tuple[Cell, ...]:
    first, last = same[0], same[-1]
    times = ("-" if each.mjd_tai is None else utc_text(each.mjd_tai) for each in (first, last))
    return (
        Cell(first.results),
        Cell(shown_class(first.name)),
        *map(Cell, times),
        Cell(count_text(len(same))),
    )
