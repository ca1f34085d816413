"""Find what breaks a service's contract, and say how to repair it: `finkray service check`.

The service runs as it does in production: in a child process, with limits, on files as the archive
has them.
"""

import difflib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.errors import ServiceError
from finkray.services.columns import has, names_of
from finkray.services.messages import Answer, Limits, Slice, Spec
from finkray.services.service import Described, input_name
from finkray.serving.worker import Worker
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from finkray.storage.parquet import write_table

_LIKE = 0.85
"""Similarity of two names, of 1, from which on one is suggested for the other."""

_NOT_TRIED = "nothing was tried: with nulls for a column, no answer says what the code does"

_ROUNDING = 1e-5
"""Relative difference of two numbers in single precision that were added in another order."""

_SHOWN = 3
"""Number of alerts that are named as examples."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the check found about one promise of the contract.

    Attributes
    ----------
    name
        name of the promise
    ok
        whether the service keeps the promise
    detail
        what was seen, and what to do
    """

    name: str
    ok: bool
    detail: str


def check_service(
    spec: Spec,
    limits: Limits,
    alerts: pa.Table,
    results_of: Callable[[str], pa.Table | None] = lambda _: None,
) -> Iterator[Finding]:
    """Try a service; yield each finding as soon as it is known.

    Parameters
    ----------
    spec
        the service
    limits
        what its process may take
    alerts
        to try it on, as `finkray.testing.alerts` returns them
    results_of
        returns results of another service for these alerts, by the name in `needs` or `uses`;
        None where the alerts have none
    """
    with tempfile.TemporaryDirectory(prefix="finkray-check-") as folder:
        worker = Worker(spec, limits, open_storage(StorageLocation(folder)))
        try:
            about = worker.start()
        except ServiceError as error:
            yield Finding("loads", ok=False, detail=str(error))
            return
        try:
            yield Finding("loads", ok=True, detail=f"{about.name}, version {about.version}")
            yield _pickles(worker.unpicklable)
            columns = _columns(about, alerts.schema)
            yield columns
            if not columns.ok:
                yield Finding("schema and rows", ok=False, detail=_NOT_TRIED)
                return
            if about.inputs:
                # Results are found by their offset, which is unique within a partition only.
                alerts = _of_one_partition(alerts, alerts)
            trial = _Trial(worker, about, alerts, Path(folder))
            for text in about.inputs:
                yield trial.add_input(text, results_of)
            yield from _answers(trial)
        finally:
            worker.close()


def _pickles(why_not: str) -> Finding:
    if why_not:
        detail = (
            f"it cannot be pickled before `setup` ({why_not}): open files, models and connections "
            "in `setup`, not in __init__ or in the class"
        )
        return Finding("pickles", ok=False, detail=detail)
    return Finding("pickles", ok=True, detail="it can be sent to other machines")


def _columns(about: Described, schema: pa.Schema) -> Finding:
    known = names_of(schema)
    columns = about.packet_columns
    missing = [name for name in columns if not has(schema, name)]
    close = {name: difflib.get_close_matches(name, known, 1, _LIKE) for name in missing}
    none = len(missing) == len(columns)
    # A service for two surveys reads records that these alerts do not have at all.
    wrong = [
        name for name in missing if none or close[name] or name.partition(".")[0] in schema.names
    ]
    if not wrong:
        there = ", ".join(name for name in columns if name not in missing) or "no column of alerts"
        more = (
            f"; {len(missing)} more are of other surveys, or of results that neither `needs` nor "
            f"`uses` names: {', '.join(missing)}"
            if missing
            else ""
        )
        return Finding("columns", ok=True, detail=f"reads {there}{more}")
    hints = [f"{n} (did you mean {close[n][0]}?)" if close[n] else n for n in wrong]
    return Finding(
        "columns",
        ok=False,
        detail=f"these alerts have no {', '.join(hints)}: they are read as null",
    )


class _Trial:
    """A service, alerts to try it on, and the results of other services for these.

    Parameters
    ----------
    worker, about
        the service
    alerts
        the alerts
    folder
        for the files that the worker reads
    """

    def __init__(self, worker: Worker, about: Described, alerts: pa.Table, folder: Path) -> None:
        self._worker = worker
        self._folder = folder
        self._inputs: list[tuple[str, tuple[str, ...]]] = []
        self.about = about
        self.alerts = alerts

    def add_input(self, text: str, results_of: Callable[[str], pa.Table | None]) -> Finding:
        """Add results of another service as an input; return which of its columns are there."""
        name = input_name(text)
        title = f"results of {text}"
        columns = self.about.columns_of(name)
        try:
            results = results_of(text)
        except ServiceError as error:
            return Finding(title, ok=False, detail=str(error))
        if results is None:
            detail = f"read as null, for made alerts have none: {', '.join(columns)}; try --archive"
            return Finding(title, ok=True, detail=detail)
        if missing := [column for column in columns if not has(results.schema, column)]:
            detail = f"it has no {', '.join(missing)}; it has {', '.join(names_of(results.schema))}"
            return Finding(title, ok=False, detail=detail)
        results = _of_one_partition(results, self.alerts)
        path = self._folder / f"{name}.parquet"
        with path.open("wb") as out:
            write_table(results, out)
        self._inputs.append((name, (path.name,)))
        detail = f"reads {', '.join(columns)}; {results.num_rows} of {self.alerts.num_rows} alerts"
        return Finding(title, ok=True, detail=f"{detail} have results")

    def run(self, alerts: pa.Table, name: str) -> Answer:
        """Have the worker process some alerts, from a file of that name."""
        path = self._folder / f"{name}.alerts.parquet"
        with path.open("wb") as out:
            write_table(alerts, out)
        return self._worker.run([Slice(path.name, 0, alerts.num_rows, tuple(self._inputs))])


def _of_one_partition(table: pa.Table, alerts: pa.Table) -> pa.Table:
    """Return the rows of the partition that the first of the alerts is of."""
    first = alerts.slice(0, 1).select(["kafka_topic", "kafka_partition"]).to_pylist()
    for row in first:
        for name, value in row.items():
            table = table.filter(pc.equal(table[name], value))
    return table


def _answers(trial: _Trial) -> Iterator[Finding]:
    alerts = trial.alerts
    whole = trial.run(alerts, "whole")
    if whole.table is None:
        detail = f"none of {alerts.num_rows} alerts has an answer: {whole.detail}"
        yield Finding(_PROMISES.get(whole.fault or "", "answers"), ok=False, detail=detail)
        return
    yield _whole(whole, alerts.num_rows)
    yield _order(trial, whole)
    yield _nulls(trial)
    # The first batch pays for what is imported and compiled late.
    again = trial.run(alerts, "whole")
    yield _cost(again if again.table is not None else whole, alerts.num_rows)


_PROMISES = {"contract": "schema and rows", "time": "time", "memory": "memory"}


def _whole(answer: Answer, rows: int) -> Finding:
    if not answer.errors:
        return Finding(
            "schema and rows", ok=True, detail=f"{rows} rows for {rows} alerts, as declared"
        )
    return Finding(
        "schema and rows",
        ok=False,
        detail=f"{len(answer.errors)} of {rows} alerts would get the status error: "
        + _examples(answer),
    )


def _order(trial: _Trial, whole: Answer) -> Finding:
    """Try the alerts in another order and in two batches.

    Backwards would not do: code that reverses its answer gives the same for both.
    """
    rows = trial.alerts.num_rows
    shuffled = np.random.default_rng(0).permutation(rows)
    tables = []
    for number, part in enumerate(np.split(shuffled, [rows // 3])):
        if not len(part):
            continue
        answer = trial.run(trial.alerts.take(pa.array(part)), f"shuffled-{number}")
        if answer.table is None:
            detail = f"it fails on the alerts in another order: {answer.detail}"
            return Finding("order", ok=False, detail=detail)
        tables.append(answer.table)
    assert whole.table is not None  # noqa: S101 - the caller looked
    others = pa.concat_tables(tables).take(pa.array(np.argsort(shuffled)))
    different = sum(
        not _same(answer, other)
        for answer, other in zip(whole.table.to_pylist(), others.to_pylist(), strict=True)
    )
    if different:
        detail = (
            f"given the alerts in another order and in two batches, {different} of {rows} get "
            "another answer: the rows of the answer are in another order than the alerts (a sort, "
            "a join or a group does that), or depend on their neighbours in the batch, whose size "
            "changes"
        )
        return Finding("order", ok=False, detail=detail)
    detail = "an answer depends neither on the alert's position nor on its neighbours"
    return Finding("order", ok=True, detail=detail)


def _nulls(trial: _Trial) -> Finding:
    """Try an alert with null in all columns: packets of another version or survey lack columns."""
    first = trial.alerts.slice(0, 1)
    empty = pa.table([pa.nulls(1, type_) for type_ in first.schema.types], schema=first.schema)
    answer = trial.run(pa.concat_tables([first, empty]), "nulls")
    if answer.table is None or answer.errors:
        detail = answer.errors[0][2] if answer.errors else answer.detail
        detail = (
            f"where {', '.join(trial.about.columns)} is null: {detail}. Such alerts get the status "
            "error; the functions of pyarrow.compute return null for null"
        )
        return Finding("nulls", ok=False, detail=detail)
    return Finding("nulls", ok=True, detail="alerts that lack a column have an answer")


def _cost(answer: Answer, rows: int) -> Finding:
    per_s = f"{rows / max(answer.cpu_s, 1e-6):,.0f}".replace(",", " ")
    detail = (
        f"{1e3 * answer.wall_s / rows:.3g} ms for an alert, {per_s} alerts/s a core; "
        f"{answer.memory_bytes / 2**20:.0f} MiB of memory"
    )
    return Finding("cost", ok=True, detail=detail)


def _examples(answer: Answer) -> str:
    shown = [f"row {row}: {detail}" for row, _, detail in answer.errors[:_SHOWN]]
    return "; ".join(shown) + ("; …" if len(answer.errors) > _SHOWN else "")


def _same(first: Any, second: Any) -> bool:
    """Return whether two values are the same, numbers within what the size of a batch changes."""
    if isinstance(first, float) and isinstance(second, float):
        # A product of matrices adds in an order that follows the number of rows.
        close = math.isclose(first, second, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
        return close or (math.isnan(first) and math.isnan(second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _same(value, second[name]) for name, value in first.items()
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


def read_some(archive: Storage, paths: Sequence[str], rows: int) -> pa.Table:
    """Read the first alerts of some files of an archive, those of the first file's schema."""
    tables: list[pa.Table] = []
    for path in paths:
        with archive.open(path) as file:
            table = pq.read_table(file, partitioning=None)
        if not tables or table.schema == tables[0].schema:
            tables.append(table.slice(0, rows - sum(map(len, tables))))
        if sum(map(len, tables)) >= rows:
            break
    return pa.concat_tables(tables)
