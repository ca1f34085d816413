"""What every format gives: the columns of a file as it declares them, and its rows in pieces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

PIECE_ROWS: Final = 250_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A coordinate frame as a file declares it; empty texts where the file says nothing.

    Attributes
    ----------
    declared_by
        where it stands, such as `COOSYS J2000` or `RADESYS`
    system
        such as `FK5`, `galactic`
    equinox, epoch
        such as `J2000`, `2015.5`
    """

    declared_by: str
    system: str = ""
    equinox: str = ""
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as a file declares it.

    Attributes
    ----------
    unit, ucd
        as the file spells them; empty if it does not say
    frames
        those that hold for this column
    """

    name: str
    unit: str = ""
    ucd: str = ""
    frames: tuple[Frame, ...] = ()


class TableFile(Protocol):
    """A file of a catalogue, or one table of it.

    Every method raises `CatalogError` for what the format itself forbids: a file that ends too
    early, another number of rows than announced, a status that says that the answer is not whole.
    """

    path: Path

    hint: str
    """What to do if a column is not there, such as another delimiter; else empty."""

    def columns(self) -> Sequence[Column]:
        """All columns in order; a name that the file has twice stands here twice."""

    def types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        """Return the types that the pieces have. May read the whole file."""

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield these columns, at most `PIECE_ROWS` rows at a time, in the same order each time.

        What the file marks as missing is null.
        """


@dataclass(frozen=True, slots=True)
class TableRequest:
    """What a description wants of a file.

    Attributes
    ----------
    columns
        all of them
    positions
        those of the position: a table that has both may hold sources
    id
        the column of the id; empty: none
    table
        name or number of the table to read; empty: the only one with the position's columns
    delimiter
        between two values of a text file
    integrity
        refuse a file that may be damaged or cut short: FITS checksums that differ, a text file
        whose last line has no end
    """

    columns: tuple[str, ...]
    positions: tuple[str, str]
    id: str = ""
    table: str = ""
    delimiter: str = ","
    integrity: bool = True
