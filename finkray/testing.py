"""For the tests of those who write services: alerts of the real shape, without Ray or an archive.

    import finkray.testing

    def test_bright_alerts_are_found():
        results = finkray.testing.run("mymodule:Bright")
        assert results["status"].to_pylist() == ["ok"] * len(results)

`finkray.serving.check` does the same from outside, in a process of its own with limits.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.results.rows import RowAnswers, keys_of, result_table
from finkray.services.columns import pick
from finkray.services.service import Service, describe, load_service
from finkray.serving.child import AnswerRefused, answer_each, call

__all__ = ["SAMPLE", "alerts", "run"]

SAMPLE = Path(__file__).with_name("sample_alerts.parquet")
"""120 alerts in ZTF's schema 4.02 as the archive keeps them. The simulator made them: their shape
is real, their sky is not. Only the first four have images."""


def alerts(rows: int | None = None) -> pa.Table:
    """Alerts as the archive keeps them: nested records, the Kafka columns before them.

    Parameters
    ----------
    rows
        how many; None is all there are, 120
    """
    table = pq.read_table(SAMPLE, partitioning=None)
    return table if rows is None else table.slice(0, rows)


def run(
    service: Service | type[Service] | str, table: pa.Table | str | Path | None = None
) -> pa.Table:
    """What the science store would hold of these alerts, computed here and now.

    Alerts on which the service fails alone have the status `error` and its reason.

    Parameters
    ----------
    service
        an object, a class, or ``module:Name``
    table
        alerts as `alerts` gives them, or a Parquet file of an archive; None: `alerts()`

    Raises
    ------
    ServiceError
        if the service is none, or breaks its contract on every alert
    Exception
        what the service raises, if it does so on every alert
    """
    one = load_service(service) if isinstance(service, str) else service
    if isinstance(one, type):
        one = one()
    about = describe(one)
    given = alerts() if table is None else table
    nested = given if isinstance(given, pa.Table) else pq.read_table(given, partitioning=None)
    one.setup()
    try:
        whole = answer_each(
            lambda part: call(one, about.output, part), pick(nested, about.columns), about.output
        )
    except AnswerRefused as refused:
        raise refused.error from None
    finally:
        one.close()
    reasons = {row: f"{why.fault}: {why.detail}" for row, why in whole.refused.items()}
    rows = range(nested.num_rows)
    said = RowAnswers(
        first_row=0,
        table=whole.table,
        status=["error" if row in reasons else "ok" for row in rows],
        reason=[reasons.get(row) for row in rows],
    )
    return result_table(keys_of(nested), [said], about, datetime.now(UTC))
