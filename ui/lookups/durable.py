"""When alerts of an object became durable, and the results for them. Runs with the look-ups."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa

from finkray.errors import FinkrayError
from finkray.ledger.commit_times import KafkaOffset, commit_times
from finkray.results.store import list_stores
from finkray.storage.contract import Storage

_TIME: Final = pa.timestamp("us", "UTC")

DURABLE: Final = pa.field("durable_at", _TIME)
"""When the alert was committed to the archive; null if the archive's ledger does not say."""

RESULTS_DURABLE: Final = pa.field(
    "results_durable_at",
    pa.list_(pa.struct([("results", pa.string()), ("durable_at", _TIME)])),
)
"""Those results that have one for the alert, and when it was committed."""


def with_durable_times(storage: Storage, alerts: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """Return alerts with the columns `DURABLE` and `RESULTS_DURABLE`, and what cannot be read.

    Parameters
    ----------
    storage
        Of the archive.
    alerts
        With topic, partition and offset of Kafka.
    """
    keys = list(
        zip(
            *(alerts[f"kafka_{name}"].to_pylist() for name in ("topic", "partition", "offset")),
            strict=True,
        )
    )
    problems: list[str] = []
    archived = _times(storage, keys, "the archive", problems)
    by_results = [(name, _times(store, keys, name, problems)) for name, store in _results(storage)]
    results = [
        [
            {"results": name, "durable_at": at}
            for name, times in by_results
            if (at := times.get(key)) is not None
        ]
        for key in keys
    ]
    alerts = alerts.append_column(DURABLE, pa.array([archived.get(key) for key in keys], _TIME))
    return (
        alerts.append_column(RESULTS_DURABLE, pa.array(results, RESULTS_DURABLE.type)),
        tuple(problems),
    )


def _results(storage: Storage) -> Iterator[tuple[str, Storage]]:
    for store in list_stores(storage):
        yield f"{store.name}/{store.version}", store.storage


def _times(
    storage: Storage, keys: Sequence[KafkaOffset], whose: str, problems: list[str]
) -> dict[KafkaOffset, datetime | None]:
    try:
        return commit_times(storage, keys)
    except (FinkrayError, OSError) as error:
        problems.append(f"the ledger of {whose} cannot be read: {error}")
        return {}
