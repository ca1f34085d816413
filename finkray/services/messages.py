"""What driver, actor and the process that runs the user's code say to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from finkray.services.service import Described

Fault = Literal["raised", "contract", "time", "memory", "died", "unreadable", "start", "lost"]
"""Why a batch has no answer.

raised: `process` raised. contract: its answer was not as declared. time: it took too long.
memory: it took too much. died: its process ended. unreadable: a file of the archive cannot be
read, which is not the service's fault. lost: the actor is gone with all that was in it, which is
nobody's fault. start: it could not be imported or set up, whatever the batch.
"""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which service, and where its module is.

    Attributes
    ----------
    name
        as ``module:Name``
    folder
        put before all others where modules are looked for; empty if it is installed
    """

    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """Settings that services may be given; a process gets those of its own service alone.

    Attributes
    ----------
    own
        by the service's name, its table ``[services.<name>]``, secrets in clear
    shared
        by name, tables of finkray's settings that a service may read; they have no secrets
    """

    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    shared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user's process may take.

    Attributes
    ----------
    start_s
        for the import and `setup`, in seconds
    batch_s
        for a batch, in seconds
    memory_bytes
        resident memory of its own, with that of processes it has started; pages that are shared,
        as mapped files are, do not count
    recycle_batches
        a fresh process takes its place after so many batches
    nice
        how much it stands back for others, 0 to 19
    pass_env
        names of variables that it gets although they look like secrets
    settings
        the settings that services may be given
    """

    start_s: float
    batch_s: float
    memory_bytes: int
    recycle_batches: int
    nice: int
    pass_env: tuple[str, ...] = ()
    settings: GivenSettings = field(default_factory=GivenSettings)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of a file of the archive.

    Attributes
    ----------
    file
        its path in the archive
    first_row, rows
        which of its rows
    inputs
        for each name of other services' results that the service reads, the paths in the
        archive of the files with the results for this file of alerts; none where there are no
        results
    """

    file: str
    first_row: int
    rows: int
    inputs: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files that the slice is read from."""
        return (self.file, *(path for _, paths in self.inputs for path in paths))


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch.

    Attributes
    ----------
    table
        the columns of the service's output, one row for each alert; None if there is a fault
    skipped
        for each slice whether its alerts have none of the columns that the service reads
    errors
        ``(row, fault, detail)`` of alerts of which alone there is no answer: they have nulls
    fault, detail
        why there is no table
    wall_s, cpu_s
        what `process` took
    memory_bytes
        what its process has of its own, afterwards
    """

    table: pa.Table | None = None
    skipped: tuple[bool, ...] = ()
    errors: tuple[tuple[int, Fault, str], ...] = ()
    fault: Fault | None = None
    detail: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0


def rows_of(slices: Sequence[Slice]) -> int:
    """How many alerts there are."""
    return sum(part.rows for part in slices)


def null_rows(rows: int, output: pa.Schema) -> pa.Table:
    """So many rows that say nothing."""
    schema = pa.schema([field.with_nullable(True) for field in output])  # noqa: FBT003
    return pa.table([pa.nulls(rows, kind) for kind in schema.types], schema=schema)


def described_to_json(about: Described) -> dict[str, object]:
    """A plain dictionary, without the output's schema."""
    return {
        "name": about.name,
        "version": about.version,
        "columns": list(about.columns),
        "doc": about.doc,
        "needs": list(about.needs),
        "uses": list(about.uses),
        "shares": list(about.shares),
    }


def described_from_json(raw: Mapping[str, object], output: pa.Schema) -> Described:
    """The inverse of `described_to_json`."""
    return Described(
        name=str(raw["name"]),
        version=str(raw["version"]),
        columns=tuple(raw["columns"]),  # type: ignore[arg-type]
        output=output,
        doc=str(raw["doc"]),
        needs=tuple(raw["needs"]),  # type: ignore[arg-type]
        uses=tuple(raw["uses"]),  # type: ignore[arg-type]
        shares=tuple(raw["shares"]),  # type: ignore[arg-type]
    )


def slice_to_json(part: Slice) -> list[object]:
    """Return a list from which `slice_from_json` makes the slice again."""
    return [part.file, part.first_row, part.rows, [[name, list(at)] for name, at in part.inputs]]


def slice_from_json(raw: Sequence[Any]) -> Slice:
    """Make a slice of what `slice_to_json` returned."""
    file, first_row, rows, inputs = raw
    return Slice(file, first_row, rows, tuple((name, tuple(at)) for name, at in inputs))
