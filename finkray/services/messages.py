"""Messages between the driver of a service, its workers and their child processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from finkray.claim import path_of_key
from finkray.services.service import Described

Fault = Literal["raised", "contract", "time", "memory", "died", "unreadable", "start", "lost"]
"""Why a batch has no answer.

raised: `process` raised. contract: the answer was not as declared. time: `process` took too long.
memory: the process took too much memory. died: the process ended. unreadable: a file of the archive
cannot be read, for which the service is not blamed. lost: the actor is gone, for which the service
is not blamed either. start: the service could not be imported or set up, with any batch.
"""


@dataclass(frozen=True, slots=True)
class Spec:
    """The name of a service, and the folder of its module.

    Attributes
    ----------
    name
        name of the service, as ``module:Name``
    folder
        put first on Python's module search path; empty if the module is installed
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
    """The limits of a child process, and the settings and variables that are passed to it.

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
        number of batches after which a fresh process replaces it
    nice
        its nice value, 0 to 19: a higher one leaves CPU to other processes
    pass_env
        names of environment variables that it gets beside those that every service gets
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
    """Some rows of what a claim has in a file of alerts.

    Attributes
    ----------
    file
        the key of the file, as `finkray.claim.DataFile.key`
    first_row, rows
        number of the first row among those of the claim, and how many rows
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
        return (path_of_key(self.file)[0], *(path for _, paths in self.inputs for path in paths))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a worker for a batch, or why there is none.

    Attributes
    ----------
    table
        the columns of the service's output, one row for each alert; None if there is a fault
    skipped
        for each slice, whether its alerts have none of the columns that the service reads
    errors
        ``(row, fault, detail)`` of each single alert without an answer; its columns are null
    fault, detail
        why there is no table
    wall_s, cpu_s
        time that `process` took
    memory_bytes
        memory of the child process afterwards, without what is shared
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
    """Return the number of alerts."""
    return sum(slice_.rows for slice_ in slices)


def null_rows(rows: int, output: pa.Schema) -> pa.Table:
    """Return rows in which every column is null."""
    schema = pa.schema([field.with_nullable(True) for field in output])  # noqa: FBT003
    return pa.table([pa.nulls(rows, type_) for type_ in schema.types], schema=schema)


def described_to_json(about: Described) -> dict[str, object]:
    """Return a plain dictionary, without the output's schema."""
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
    """Return the description that `described_to_json` received."""
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


def slice_to_json(slice_: Slice) -> list[object]:
    """Return the slice as a list, for `slice_from_json`."""
    inputs = [[name, list(paths)] for name, paths in slice_.inputs]
    return [slice_.file, slice_.first_row, slice_.rows, inputs]


def slice_from_json(raw: Sequence[Any]) -> Slice:
    """Return the slice that `slice_to_json` received."""
    file, first_row, rows, inputs = raw
    return Slice(file, first_row, rows, tuple((name, tuple(paths)) for name, paths in inputs))
