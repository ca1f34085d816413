"""The contract of a service, and the checks that describe how it is broken. Pure.

| promise | checked |
|---|---|
| declared columns and output make sense | when it is loaded |
| a table with the declared columns, no other, of the declared types | after each batch |
| one row for each alert | after each batch |
| in the alerts' order | by `finkray service check`, which processes the rows again in reverse |
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from finkray.errors import ServiceError
from finkray.packets.columns import FOLDER_KEYS

RESULT_COLUMNS = pa.schema(
    [
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("kafka_timestamp", pa.timestamp("ms", "UTC")),
        ("obs_night", pa.date32()),
        ("alert_id", pa.int64()),
        ("object_id", pa.string()),
        ("service", pa.string()),
        ("version", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("computed_at", pa.timestamp("us", "UTC")),
    ]
)
"""Columns of results before the service's own; see `finkray.results.store`."""

SHARED_TABLES = frozenset({"catalogs", "outliers"})
"""Tables without any secret that a service may read: the settings of the catalogues, and the folder
of the models of outliers."""

_RESERVED = frozenset(name.lower() for name in (*RESULT_COLUMNS.names, *FOLDER_KEYS))


def refuse_declaration(name: str, columns: Any, output: Any) -> None:
    """Raise ServiceError if what a service declares is not possible.

    Raises
    ------
    ServiceError
        names each fault
    """
    faults = [*_faults_of_columns(columns), *_faults_of_output(output)]
    if faults:
        raise ServiceError(f"service {name}: " + "; ".join(faults))


def refuse_inputs(name: str, columns: Sequence[str], needs: Any, uses: Any) -> None:
    """Raise ServiceError if a service cannot read the results of other services that it names.

    Raises
    ------
    ServiceError
        names each fault
    """
    faults = [*_faults_of_names("needs", needs), *_faults_of_names("uses", uses)]
    if not faults:
        names = [text.partition("/")[0] for text in (*needs, *uses)]
        if doubled := sorted({other for other in names if names.count(other) > 1}):
            faults.append(f"needs and uses name the results {doubled} more than once")
        if name in [*needs, *uses]:
            faults.append(f"it reads its own results {name!r}: no alert would ever be processed")
        faults += [
            f"no column of the results {other!r} is read: name it in `columns`, as '{other}.status'"
            for other in names
            if not any(column.startswith(f"{other}.") for column in columns)
        ]
    if faults:
        raise ServiceError(f"service {name}: " + "; ".join(faults))


def refuse_shares(name: str, shares: Any) -> None:
    """Raise ServiceError if a service names tables of the settings that it may not have.

    Raises
    ------
    ServiceError
        names each fault
    """
    faults = _faults_of_names("shares", shares)
    if not faults and (others := sorted(set(shares) - SHARED_TABLES)):
        fault = (
            f"shares names {others}: of finkray's settings a service may read "
            f"{sorted(SHARED_TABLES)}; its own settings stand in [services.{name}]"
        )
        faults = [fault]
    if faults:
        raise ServiceError(f"service {name}: " + "; ".join(faults))


def _faults_of_names(attribute: str, names: Any) -> list[str]:
    if isinstance(names, str):
        return [f"{attribute} = {names!r}: expected a list, as [{names!r}]"]
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        return [f"{attribute} = {names!r}: expected a list of names, as ['classify']"]
    return []


def faults_of_answer(output: pa.Schema, alerts: int, answer: Any) -> list[str]:
    """Return how an answer of `process` breaks the contract; [] if it does not.

    Parameters
    ----------
    output
        the declared columns
    alerts
        number of rows that `process` was given
    answer
        what `process` returned
    """
    if not isinstance(answer, pa.Table):
        return [
            f"process returned {_article(answer)}, not a pyarrow Table{_advice(answer, output)}"
        ]
    faults = []
    if missing := [name for name in output.names if name not in answer.column_names]:
        faults.append(f"the answer lacks the declared {_columns(missing)}")
    if extra := [name for name in answer.column_names if name not in output.names]:
        faults.append(
            f"the answer has the {_columns(extra)}, not declared: add it to `output`, or leave it "
            "out of the table"
        )
    if doubled := sorted({n for n in answer.column_names if answer.column_names.count(n) > 1}):
        faults.append(f"the answer has the {_columns(doubled)} more than once")
    for field in output:
        if answer.column_names.count(field.name) != 1:
            continue
        answer_type = answer.schema.field(field.name).type
        if answer_type != field.type and not pa.types.is_null(answer_type):
            faults.append(
                f"column {field.name!r} is of type {answer_type}, declared is {field.type}: "
                f"pyarrow.compute.cast(…, pa.{_maker(field.type)}) makes one of the other"
            )
        elif not field.nullable and answer[field.name].null_count:
            faults.append(f"column {field.name!r} has nulls, and is declared to have none")
    if answer.num_rows != alerts:
        faults.append(
            f"{answer.num_rows} rows for {alerts} alerts: give one row for each alert, in the "
            "same order, with null where there is nothing to say"
        )
    return faults


def accept(output: pa.Schema, alerts: int, answer: Any) -> pa.Table:
    """Return the answer with its columns in the declared order and of the declared types.

    Raises
    ------
    ServiceError
        if the answer breaks the contract: names each fault
    """
    faults = faults_of_answer(output, alerts, answer)
    if faults:
        raise ServiceError("; ".join(faults))
    return answer.select(output.names).cast(output)


def _faults_of_columns(columns: Any) -> list[str]:
    if isinstance(columns, str):
        return [f"columns = {columns!r}: expected a list, as [{columns!r}]"]
    if not isinstance(columns, Sequence) or not all(isinstance(name, str) for name in columns):
        return [f"columns = {columns!r}: expected a list of names, as ['candidate.magpsf']"]
    faults = []
    if not columns:
        faults.append("columns is empty: name what it reads, as ['candidate.magpsf']")
    if bad := [name for name in columns if not all(name.split("."))]:
        faults.append(f"columns names {bad}: expected names, with a dot between record and field")
    if doubled := sorted({name for name in columns if list(columns).count(name) > 1}):
        faults.append(f"columns names {doubled} more than once")
    return faults


def _faults_of_output(output: Any) -> list[str]:
    if not isinstance(output, pa.Schema):
        return [
            f"output is {_article(output)}: expected a schema, as pa.schema([('x', pa.int64())])"
        ]
    faults = []
    if not output.names:
        faults.append("output is empty: say what it adds, as pa.schema([('bright', pa.bool_())])")
    if taken := [name for name in output.names if name.lower() in _RESERVED]:
        faults.append(f"output has the {_columns(taken)}, which each row of results has anyway")
    lowered = [name.lower() for name in output.names]
    if doubled := sorted({name for name in lowered if lowered.count(name) > 1}):
        faults.append(f"output has the {_columns(doubled)} more than once (capitals do not count)")
    return faults


def _advice(answer: Any, output: pa.Schema) -> str:
    if answer is None:
        return ": is there a `return` missing?"
    module = type(answer).__module__.partition(".")[0]
    if module == "pandas":
        return ": give pa.Table.from_pandas(…, preserve_index=False)"
    if module == "polars":
        return ": give ….to_arrow()"
    name = output.names[0] if output.names else "x"
    return f": give pa.table({{{name!r}: …}})"


def _article(value: Any) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names))
    return f"column {listed}" if len(names) == 1 else f"columns {listed}"


def _maker(type_: pa.DataType) -> str:
    """Return the call of pyarrow that makes a simple type, as people write it."""
    names = {
        "double": "float64()",
        "float": "float32()",
        "halffloat": "float16()",
        "bool": "bool_()",
    }
    return names.get(str(type_), f"{type_}()" if str(type_).isalnum() else str(type_))
