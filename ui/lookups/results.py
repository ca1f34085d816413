"""What services found for the alerts of an object. Runs with the look-ups."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import FinkrayError
from finkray.results.counts import CLASS_COLUMN
from finkray.results.store import RESULTS_FOLDER, ResultsStore, list_stores, result_schema
from finkray.storage.contract import Storage
from finkray.storage.dataset import dataset_of_files
from finkray.storage.hours import hour_folders
from ui.lookups.alert_files import AlertKey, files_with, hour_of, key_of
from ui.lookups.records import MOST_CLASSES, GivenClass, ResultsRecord

_KEY: Final = ("kafka_topic", "kafka_partition", "kafka_offset", "alert_id")


def results_record(storage: Storage, alerts: pa.Table) -> ResultsRecord:
    """Return what services found for alerts of an object: the newest, and all classes.

    Parameters
    ----------
    storage
        Of the archive.
    alerts
        As in `ui.lookups.records.ObjectRecord`.
    """
    rows = alerts.select([*_KEY, "kafka_timestamp", "mjd_tai"]).slice(0, MOST_CLASSES).to_pylist()
    newest: list[tuple[str, dict[str, Any]]] = []
    classes: list[GivenClass] = []
    problems: list[str] = []
    for store in list_stores(storage) if rows else ():
        name = f"{store.name}/{store.version}"
        has_class = CLASS_COLUMN in store.about.output.names
        try:
            found = _read(store, rows if has_class else rows[:1])
        except (FinkrayError, OSError, pa.ArrowException) as error:
            problems.append(f"the results {name} cannot be read: {error}")
            continue
        first = found.get(key_of(rows[0]))
        if first is not None:
            own = {key: value for key, value in first.items() if key not in _KEY}
            newest.append((name, own))
        if has_class:
            pairs = ((row, found.get(key_of(row))) for row in rows)
            classes += [
                GivenClass(name, _class_of(result), row["mjd_tai"])
                for row, result in pairs
                if result is not None
            ]
    return ResultsRecord(tuple(newest), tuple(classes), tuple(problems))


def _class_of(result: dict[str, Any]) -> str:
    """Return the class of a result, whose name may be empty; its status if it has none."""
    name = result[CLASS_COLUMN]
    return str(result["status"] if name is None else name)


def _read(store: ResultsStore, alerts: Sequence[dict[str, Any]]) -> dict[AlertKey, dict[str, Any]]:
    """Return the result for each alert that has one."""
    topics = frozenset(alert["kafka_topic"] for alert in alerts)
    hours = dict.fromkeys(hour_of(alert["kafka_timestamp"]) for alert in alerts)
    folders = (
        folder
        for hour in hours
        for folder, _ in hour_folders(store.storage, hour, topics, RESULTS_FOLDER)
    )
    paths = files_with(store.storage, folders, [key_of(alert) for alert in alerts])
    output = store.about.output
    dataset = dataset_of_files(store.storage, paths, result_schema(output))
    offsets = sorted({alert["kafka_offset"] for alert in alerts})
    found = dataset.to_table(
        [*output.names, "status", "reason", *_KEY], filter=pc.field("kafka_offset").isin(offsets)
    )
    return {key_of(row): row for row in found.to_pylist()}
