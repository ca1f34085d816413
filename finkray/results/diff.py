"""Compare two sets of results, alert by alert: `finkray diff`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.errors import ServiceError
from finkray.results.store import RESULTS_FOLDER, ResultsStore
from finkray.services.contract import RESULT_COLUMNS
from finkray.storage.contract import Storage
from finkray.storage.layout import ALERTS_FOLDER, parse_path

KEYS = ("topic_id8", "kafka_topic", "kafka_partition", "kafka_offset")
"""The key of an alert: a topic that was deleted and created again has the same offsets again."""

_FROM_TO = 200
"""Kinds of change that are counted for each column."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that has different answers in the two sets.

    Attributes
    ----------
    kafka_topic, kafka_partition, kafka_offset, alert_id, object_id
        the alert
    before, after
        the columns that differ
    """

    kafka_topic: str
    kafka_partition: int
    kafka_offset: int
    alert_id: int | None
    object_id: str | None
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(slots=True)
class Difference:
    """How two sets of results differ.

    Attributes
    ----------
    names
        of the two, with their versions
    same, different
        alerts in both, with the same answer or with different ones
    only
        alerts in the one and the other alone
    columns_only
        columns in the one and the other alone; they are not compared
    by_column
        for each column how many alerts differ in it
    from_to
        for each column how often each value became another, as text
    changes
        the first of the alerts that differ
    """

    names: tuple[str, str]
    same: int = 0
    different: int = 0
    only: tuple[int, int] = (0, 0)
    columns_only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    by_column: Counter[str] = field(default_factory=Counter)
    from_to: dict[str, Counter[tuple[str, str]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if each alert has the same answer in both, else 1."""
        return 1 if self.different or any(self.only) or any(self.columns_only) else 0


def diff(first: ResultsStore, second: ResultsStore, examples: int = 20) -> Difference:
    """Compare two sets of results, hour by hour.

    Parameters
    ----------
    first, second
        as `finkray.results.store.find_store` returns them
    examples
        number of changes that are kept

    Raises
    ------
    ServiceError
        if they have no column in common
    """
    outputs = (first.about.output, second.about.output)
    mine, others = (set(output.names) for output in outputs)
    shared = [name for name in outputs[0].names if name in others]
    names = (f"{first.name}/{first.version}", f"{second.name}/{second.version}")
    if not shared:
        have = (
            f"{name} has {', '.join(output.names)}"
            for name, output in zip(names, outputs, strict=True)
        )
        raise ServiceError(
            f"there is nothing to compare: {' and '.join(names)} have no column in common; "
            + "; ".join(have)
        )
    out = Difference(
        names=names,
        columns_only=(tuple(sorted(mine - others)), tuple(sorted(others - mine))),
    )
    columns = ["status", *shared]
    for folder in sorted({*_hours(first.storage), *_hours(second.storage)}):
        _compare(
            out,
            _read(first.storage, folder, columns),
            _read(second.storage, folder, columns),
            columns,
            examples,
        )
    return out


def _hours(storage: Storage) -> set[str]:
    return {file.path.rpartition("/")[0] for file in storage.walk(RESULTS_FOLDER)}


def _read(storage: Storage, folder: str, columns: list[str]) -> pa.Table:
    names = [*KEYS[1:], "alert_id", "object_id", *columns]
    tables = []
    for file in storage.files(folder):
        with storage.open(file.path) as source:
            table = pq.read_table(source, columns=names, partitioning=None)
        known = parse_path(file.path.replace(RESULTS_FOLDER, ALERTS_FOLDER, 1))
        topic_id8 = "" if known is None else known.topic_id8
        tables.append(table.append_column("topic_id8", pa.repeat(topic_id8, len(table))))
    if tables:
        return pa.concat_tables(tables)
    keys = [RESULT_COLUMNS.field(name) for name in (*KEYS[1:], "alert_id", "object_id")]
    schema = pa.schema(
        [*keys, *((name, pa.null()) for name in columns), ("topic_id8", pa.string())]
    )
    return schema.empty_table()


def _compare(
    out: Difference, first: pa.Table, second: pa.Table, columns: list[str], examples: int
) -> None:
    pairs = _number(first, "i").join(_number(second, "j"), list(KEYS), join_type="full outer")
    both = pairs.filter(pc.is_valid(pairs["i"])).drop_null()
    out.only = (
        out.only[0] + pairs["j"].null_count,
        out.only[1] + pairs["i"].null_count,
    )
    both = both.sort_by([(name, "ascending") for name in KEYS])
    first, second = first.take(both["i"]), second.take(both["j"])
    differs = {name: _differs(first[name], second[name]) for name in columns}
    any_differs = np.zeros(len(both), bool)
    for name, rows in differs.items():
        out.by_column[name] += int(rows.sum())
        any_differs |= rows
    out.by_column += Counter()  # forget those that are 0
    out.different += int(any_differs.sum())
    out.same += int((~any_differs).sum())
    for row in np.flatnonzero(any_differs):
        changed = [name for name in columns if differs[name][row]]
        alert = first.slice(row, 1), second.slice(row, 1)
        _note(out, *alert, changed, keep=len(out.changes) < examples)


def _number(table: pa.Table, name: str) -> pa.Table:
    numbers = pa.array(range(len(table)), pa.int64())
    return table.select(list(KEYS)).append_column(name, numbers)


def _differs(first: pa.ChunkedArray, second: pa.ChunkedArray) -> np.ndarray:
    """Return where two columns differ; null equals null, and NaN equals NaN."""
    if len(first) == 0:
        return np.zeros(0, bool)
    if pa.types.is_nested(first.type) or first.type != second.type:
        pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
        return np.fromiter((a != b and repr(a) != repr(b) for a, b in pairs), bool, len(first))
    equal = pc.fill_null(pc.equal(first, second), False)  # noqa: FBT003
    nulls = pc.and_(first.is_null(), second.is_null())
    same = pc.or_(equal, nulls)
    if pa.types.is_floating(first.type):
        nan = pc.and_(pc.is_nan(first), pc.is_nan(second))
        same = pc.or_(same, pc.fill_null(nan, False))  # noqa: FBT003
    return ~np.asarray(same.combine_chunks().to_numpy(zero_copy_only=False), bool)


def _note(
    out: Difference, first: pa.Table, second: pa.Table, columns: list[str], *, keep: bool
) -> None:
    """Count the changes of an alert."""
    before = {name: first[name][0].as_py() for name in columns}
    after = {name: second[name][0].as_py() for name in columns}
    for name in columns:
        counted = out.from_to.setdefault(name, Counter())
        change = str(before[name]), str(after[name])
        if change in counted or len(counted) < _FROM_TO:
            counted[change] += 1
    if keep:
        key = first.select([*KEYS[1:], "alert_id", "object_id"]).to_pylist()[0]
        out.changes.append(Change(**key, before=before, after=after))


def difference_to_json(found: Difference) -> dict[str, Any]:
    """Return what `finkray diff --json` prints."""
    return {
        "names": list(found.names),
        "same": found.same,
        "different": found.different,
        "only_in_first": found.only[0],
        "only_in_second": found.only[1],
        "columns_only_in_first": list(found.columns_only[0]),
        "columns_only_in_second": list(found.columns_only[1]),
        "by_column": dict(found.by_column),
        "from_to": {
            name: [{"from": a, "to": b, "alerts": n} for (a, b), n in counted.most_common()]
            for name, counted in found.from_to.items()
        },
        "examples": [_change_to_json(change) for change in found.changes],
    }


def _change_to_json(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__slots__}


def lines_of(found: Difference, most: int = 8) -> Iterator[str]:
    """Yield the lines that `finkray diff` prints."""
    first, second = found.names
    yield f"{found.same} alerts have the same answer, {found.different} another one"
    for name, number in zip(found.names, found.only, strict=True):
        if number:
            yield f"{number} alerts are in {name} alone"
    for name, columns in zip(found.names, found.columns_only, strict=True):
        if columns:
            yield f"{', '.join(columns)}: in {name} alone, not compared"
    for column, number in found.by_column.most_common():
        yield f"{column}: {number} alerts differ, from {first} to {second}"
        counted = found.from_to[column]
        for (before, after), times in counted.most_common(most):
            yield f"    {times:>8}  {before} -> {after}"
        if len(counted) > most:
            yield f"    and {len(counted) - most} other kinds of change"
    for change in found.changes[:most]:
        where = f"{change.kafka_topic}[{change.kafka_partition}] {change.kafka_offset}"
        texts = [f"{n}: {change.before[n]} -> {change.after[n]}" for n in change.before]
        yield f"alert {change.alert_id} of {change.object_id} at {where}: {', '.join(texts)}"
