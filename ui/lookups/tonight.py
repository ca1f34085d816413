"""Lists of objects that are worth a look tonight. Runs in the process of the look-ups."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.curves.topics import topics
from finkray.outliers.muting import classes_of
from finkray.reader import Archive
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span, hour_folders
from ui.lookups.alert_files import AlertKey, files_with, key_of
from ui.lookups.objects import ROW, read_detections, storage_of

Order = Literal["outliers", "bright", "new", "hostless"]

ORDERS: Final[tuple[Order, ...]] = ("outliers", "bright", "new", "hostless")

MOST_ALERTS: Final = 100_000
"""Most alerts of the newest hours that are looked through, except for outliers: they take 0.3 s."""

_MOST_FOLDERS: Final = 48

_ARRIVES_WITHIN: Final = timedelta(hours=72)
"""Alerts of a night arrive within this time after its date begins; the night begins within 24 h."""

HOST_ARCSEC: Final = 5.0
"""ZTF: an alert without a source of Pan-STARRS within this has no visible host."""

_OUTLIER: Final = (
    *("object_id", "alert_id", "survey", "night", "class", "score", "reasons"),
    *("kafka_topic", "kafka_partition", "kafka_offset"),
)

_DETECTIONS: Final = ("candidate.ndethist", "diaObject.nDiaSources")


def tonight(
    archive: Archive, order: Order, top: int, night: str | None, class_name: str
) -> list[dict[str, Any]]:
    """Return objects that are worth a look, the first the most.

    Parameters
    ----------
    archive
        The archive.
    order
        `outliers`: by the score of the service of that name. `bright`, `new`, `hostless`: alerts of
        the newest hours that are of no known Solar System object, by difference magnitude; `new`
        have at most two detections, `hostless` no source of Pan-STARRS near (ZTF alone).
    top
        How many at most.
    night
        Observing night, of outliers; None is the newest.
    class_name
        Only alerts that `classify` gave this class; "" is all.

    Raises
    ------
    ServiceError
        There are no scores.
    StorageError
        A file cannot be read.
    """
    if order == "outliers":
        wanted = 10 * top if class_name else top
        rows = archive.outliers(night, top=wanted).select(_OUTLIER).to_pylist()
        found = [row for row in rows if class_name in ("", row["class"])][:top]
        return _with_detections(storage_of(archive), found)
    alerts = newest_alerts(archive)
    keep = pc.invert(pc.fill_null(alerts["solar_system"], fill_value=False))
    keep = pc.and_(keep, pc.is_valid(alerts["object_id"]))
    if order == "new":
        keep = pc.and_(keep, pc.fill_null(pc.less_equal(alerts["detections"], 2), fill_value=False))
    if order == "hostless":
        ztf = pc.equal(alerts["survey"], "ztf")
        near = pc.fill_null(pc.less(alerts["host_arcsec"], HOST_ARCSEC), fill_value=False)
        keep = pc.and_(keep, pc.and_(ztf, pc.invert(near)))
    found = alerts.filter(keep).sort_by([("mag", "ascending")])
    rows = _one_an_object(found, 10 * top if class_name else top)
    classes = classes_of(storage_of(archive), [row["alert_id"] for row in rows], needed=False)
    for row in rows:
        row["class"] = classes.get(row["alert_id"])
    return [row for row in rows if class_name in ("", row["class"])][:top]


def tonight_table(
    archive: Archive, order: Order, top: int, night: str | None, class_name: str
) -> pa.Table:
    """Return the same as a table, for files; parameters and errors are those of `tonight`."""
    rows = tonight(archive, order, top, night, class_name)
    return pa.Table.from_pylist(rows) if rows else pa.table({"object_id": pa.nulls(0, pa.string())})


def _with_detections(storage: Storage, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add band, magnitude and Kafka timestamp to outliers; null if their alerts are not found."""
    keys = [key_of(row) for row in rows]
    files = files_with(storage, _folders_of(storage, rows), keys)
    offsets = sorted({row["kafka_offset"] for row in rows})
    found: dict[AlertKey, dict[str, Any]] = {}
    for topic in topics(storage, files):
        detections = read_detections(topic, pc.field("kafka_offset").isin(offsets))
        found |= {key_of(each): each for each in detections.to_pylist()}
    for key, row in zip(keys, rows, strict=True):
        detection = found.get(key, {})
        row.update({name: detection.get(name) for name in ("band", "mag", "kafka_timestamp")})
    return rows


def _folders_of(storage: Storage, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the hourly folders that outliers may be in: after their nights, and the newest.

    Alerts that were sent late, as by a simulator or a redrive, are in the newest.
    """
    names = frozenset(row["kafka_topic"] for row in rows)
    for night in {row["night"] for row in rows}:
        with suppress(ValueError):  # alerts without a time have no night
            begins = datetime.combine(date.fromisoformat(night), time(), UTC)
            span = Span(begins, begins + _ARRIVES_WITHIN)
            yield from (folder for folder, _ in hour_folders(storage, span, names))
    hours = sorted(hour_folders(storage, Span(), names), key=itemgetter(1), reverse=True)
    yield from (folder for folder, _ in hours[:_MOST_FOLDERS])


def judged(archive: Archive, alert_id: str) -> dict[str, Any]:
    """Return the facts of a thumb for an alert: what is shown of it, and its features.

    Raises
    ------
    OutlierError
        No alert of that id has a score.
    """
    from finkray.outliers.judging import judged_alert  # loads scipy, which few viewers need

    return judged_alert(storage_of(archive), alert_id)


def newest_alerts(archive: Archive) -> pa.Table:
    """Return detections of the newest hours, until there are `MOST_ALERTS` of them."""
    storage = storage_of(archive)
    folders = sorted(hour_folders(storage, Span(), None), key=itemgetter(1), reverse=True)
    wanted = (*adapter.columns("detection", "solar_system", "neighbour"), *ROW, *_DETECTIONS)
    tables: list[pa.Table] = []
    for begins, of_hour in groupby(folders, itemgetter(1)):
        for folder, _ in of_hour:
            topic = folder.partition("topic=")[2].partition("/")[0]
            span = Span(begins, begins + timedelta(hours=1))
            dataset, _ = open_dataset(storage, span, frozenset([topic]))
            names = [name for name in wanted if has(dataset.schema, name)]
            tables.append(
                _described(dataset.to_table({name: pc.field(*name.split(".")) for name in names}))
            )
        if sum(map(len, tables)) >= MOST_ALERTS or len(tables) >= _MOST_FOLDERS:
            break
    return pa.concat_tables(tables) if tables else _described(pa.table({}))


def _described(alerts: pa.Table) -> pa.Table:
    out = adapter.detections(alerts)
    counts = [alerts[name] for name in _DETECTIONS if name in alerts.column_names]
    nothing = pa.nulls(alerts.num_rows, pa.int64())
    detections = pc.coalesce(*(pc.cast(each, pa.int64()) for each in counts), nothing)
    columns = {
        "solar_system": adapter.solar_system(alerts)["solar_system"],
        "host_arcsec": adapter.neighbours(alerts)["separation_arcsec"],
        "detections": detections,
        **{name: alerts[name] for name in ROW},
    }
    for name, values in columns.items():
        out = out.append_column(name, values)
    return out


def _one_an_object(alerts: pa.Table, top: int) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for batch in alerts.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            rows.setdefault(row["object_id"], {**row, "score": None, "reasons": []})
            if len(rows) == top:
                return list(rows.values())
    return list(rows.values())
