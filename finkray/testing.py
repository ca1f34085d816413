"""Test helpers for authors of services: alerts of the real shape, without Ray or an archive.

    import finkray.testing

    def test_bright_alerts_are_found():
        results = finkray.testing.run("mymodule:Bright")
        assert results["status"].to_pylist() == ["ok"] * len(results)

`finkray service check` (`finkray.serving.check`) does the same in a child process with limits.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.errors import ServiceError
from finkray.results.rows import RowAnswers, keys_of, result_table
from finkray.services.columns import pick
from finkray.services.service import Described, Service, describe, input_name, load_service
from finkray.serving.child import AnswerRefused, answer_each, call

__all__ = ["SAMPLE", "alerts", "run"]

SAMPLE = Path(__file__).with_name("sample_alerts.parquet")
"""120 alerts in ZTF's schema 4.02 as the archive keeps them. The simulator made them: their shape
is real, their sky is not. Only the first four have images."""


def alerts(rows: int | None = None) -> pa.Table:
    """Return alerts as the archive keeps them: nested records, the Kafka columns before them.

    Parameters
    ----------
    rows
        number of alerts; None is all, 120
    """
    table = pq.read_table(SAMPLE, partitioning=None)
    return table if rows is None else table.slice(0, rows)


def run(
    service: Service | type[Service] | str,
    table: pa.Table | str | Path | None = None,
    *,
    inputs: Mapping[str, pa.Table] = MappingProxyType({}),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> pa.Table:
    """Return the results of a service for these alerts, computed in this process.

    Alerts on which the service fails alone have the status `error` and its reason.

    Parameters
    ----------
    service
        an object, a class, or ``module:Name``
    table
        alerts as `alerts` returns them, or a Parquet file of an archive; None: `alerts()`
    inputs
        by name, the results of other services that it reads, as this function returns them
    settings
        the service's own settings, as in ``[services.<name>]``

    Raises
    ------
    ServiceError
        if this is not a service, breaks its contract on every alert, or needs results that are
        not among the inputs
    Exception
        what the service raises, if it does so on every alert
    """
    tested = load_service(service) if isinstance(service, str) else service
    if isinstance(tested, type):
        tested = tested()
    if settings:
        tested.settings = settings
    about = describe(tested)
    source = alerts() if table is None else table
    nested = source if isinstance(source, pa.Table) else pq.read_table(source, partitioning=None)
    columns = _columns(about, nested, inputs)
    tested.setup()
    try:
        whole = answer_each(lambda batch: call(tested, about.output, batch), columns, about.output)
    except AnswerRefused as refused:
        raise refused.error from None
    finally:
        tested.close()
    reasons = {row: f"{why.fault}: {why.detail}" for row, why in whole.refused.items()}
    rows = range(nested.num_rows)
    answers = RowAnswers(
        first_row=0,
        table=whole.table,
        status=["error" if row in reasons else "ok" for row in rows],
        reason=[reasons.get(row) for row in rows],
    )
    return result_table(keys_of(nested), [answers], about, datetime.now(UTC))


def _columns(about: Described, alerts: pa.Table, inputs: Mapping[str, pa.Table]) -> pa.Table:
    """Return the columns that a service declares, including those of other services' results."""
    if lacking := [name for name in map(input_name, about.needs) if name not in inputs]:
        raise ServiceError(
            f"{about.name} needs the results {lacking}: give them as inputs="
            f"{{{lacking[0]!r}: …}}, a table as finkray.testing.run returns it"
        )
    packet = pick(alerts, about.packet_columns)
    columns = dict(zip(packet.column_names, packet.columns, strict=True))
    keys = _offsets(keys_of(alerts))
    for name in map(input_name, about.inputs):
        results = inputs.get(name)
        row_of = {} if results is None else {key: n for n, key in enumerate(_offsets(results))}
        rows = pa.array([row_of.get(key) for key in keys], pa.int64())
        for column in about.columns_of(name):
            nothing = pa.chunked_array([pa.nulls(len(rows))])
            values = nothing if results is None else pick(results, [column])[column].take(rows)
            columns[f"{name}.{column}"] = values
    return pa.table({name: columns[name] for name in about.columns})


def _offsets(table: pa.Table) -> list[tuple[object, ...]]:
    names = ("kafka_topic", "kafka_partition", "kafka_offset")
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))
