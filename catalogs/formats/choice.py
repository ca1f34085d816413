"""Choose the table of a file that is the catalogue, where a file has several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from catalogs.formats.table_file import TableRequest
from finkray.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table of a file.

    Attributes
    ----------
    number
        as `source.table` names it
    label
        its name in the file, else empty
    names
        of its columns
    rows
        how many it has
    """

    number: int
    label: str
    names: Sequence[str]
    rows: int


def choose(path: Path, tables: Sequence[Candidate], wanted: TableRequest, what: str) -> Candidate:
    """Return the table to read: the one that `source.table` names, else the only one with sources.

    A table with both columns of the position may hold sources. Leaving one of two out in silence
    would give a catalogue that answers `none` where it should not.

    Parameters
    ----------
    what
        word for a table in messages: `table`, `HDU`

    Raises
    ------
    CatalogError
        There is none, or there are several and the description does not say which.
    """
    if not tables:
        raise CatalogError(f"{path}: there is no table in it")
    if wanted.table:
        named = [table for table in tables if wanted.table in (table.label, str(table.number))]
        if len(named) == 1:
            return named[0]
        raise CatalogError(
            f"{path}: source.table = {wanted.table!r} names {len(named)} of its tables; it has "
            f"{_listed(tables, what)}"
        )
    positions = {name.casefold() for name in wanted.positions}
    may = [table for table in tables if positions <= {name.casefold() for name in table.names}]
    filled = [table for table in may if table.rows]
    if len(filled) > 1:
        raise CatalogError(
            f"{path}: has several tables with the columns {' and '.join(wanted.positions)}: "
            f"{_listed(filled, what)}. Set source.table to the name or number of one, or write "
            "all sources to one table"
        )
    return (filled or may or list(tables))[0]


def _listed(tables: Sequence[Candidate], what: str) -> str:
    texts = [
        f"{what} {table.number}{f' {table.label!r}' if table.label else ''} ({table.rows:,} rows)"
        for table in tables[:10]
    ]
    return ", ".join(texts) + (", …" if len(tables) > 10 else "")
