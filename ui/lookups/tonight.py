"""Lists of objects that are worth a look tonight. Runs in the process of the look-ups."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.curves.topics import topics
from finkray.outliers.context import CONTEXTS
from finkray.outliers.muting import classes_of
from finkray.reader import Archive
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span, hour_folders
from finkray.surveys import SURVEYS
from ui.lookups.alert_files import AlertKey, files_with, key_of
from ui.lookups.objects import ROW, read_detections, storage_of

Order = Literal["outliers", "bright", "new", "hostless"]

ORDERS: Final[tuple[Order, ...]] = ("outliers", "bright", "new", "hostless")

NIGHT: Final = re.compile(r"\d{4}-\d\d-\d\d")

MOST_ALERTS: Final = 100_000
"""Most alerts of the newest hours that are looked through, except for outliers: they take 0.3 s."""

_MOST_FOLDERS: Final = 48

_ARRIVES_WITHIN: Final = timedelta(hours=72)
"""Alerts of a night arrive within this time after its date begins; the night begins within 24 h."""

HOST_ARCSEC: Final = 5.0
"""ZTF: an alert without a source of Pan-STARRS within this has no visible host."""

_OUTLIER: Final = (
    *("object_id", "alert_id", "survey", "night", "context", "class", "score"),
    *("p_night", "p_context", "reasons"),
    *("kafka_topic", "kafka_partition", "kafka_offset"),
)

_DETECTIONS: Final = ("candidate.ndethist", "diaObject.nDiaSources")


@dataclass(frozen=True, slots=True)
class TonightChoice:
    """Which list a viewer chooses, and which objects of it.

    Attributes
    ----------
    order
        `outliers`: by the score of the service of that name. `bright`, `new`, `hostless`: alerts of
        the newest hours that are of no known Solar System object, by difference magnitude; `new`
        have at most two detections, `hostless` no source of Pan-STARRS near (ZTF alone).
    class_name
        Only alerts that `classify` gave this class; "" is all.
    night
        Observing night, of outliers alone; "" is the newest with scores.
    survey
        Only alerts of this survey; "" is all.
    context
        Only outliers in this context, a name of `finkray.outliers.context.CONTEXTS`; "" is all.
    """

    order: Order = "outliers"
    class_name: str = ""
    night: str = ""
    survey: str = ""
    context: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "TonightChoice":
        """Return the choice in the parameters of an address; what is not known chooses nothing."""
        named = [each for each in ORDERS if each == query.get("order")]
        order = named[0] if named else "outliers"
        survey, night, context = (query.get(name, "") for name in ("survey", "night", "context"))
        of_outliers = order == "outliers"
        return cls(
            order,
            query.get("class", "")[:200],
            night if of_outliers and NIGHT.fullmatch(night) else "",
            survey if survey in SURVEYS else "",
            context if of_outliers and context in CONTEXTS else "",
        )


def tonight(archive: Archive, choice: TonightChoice, top: int) -> list[dict[str, Any]]:
    """Return objects that are worth a look, the first the most.

    Parameters
    ----------
    archive
        The archive.
    choice
        Which objects.
    top
        How many at most.

    Raises
    ------
    ServiceError
        There are no scores.
    StorageError
        A file cannot be read.
    """
    order, class_name = choice.order, choice.class_name
    if order == "outliers":
        table = archive.outliers(
            choice.night or None,
            top=10 * top if class_name else top,
            survey=choice.survey or None,
            context=choice.context or None,
        )
        rows = table.select(_OUTLIER).to_pylist()
        found = [row for row in rows if class_name in ("", row["class"])][:top]
        return _with_detections(storage_of(archive), found)
    alerts = newest_alerts(archive)
    keep = pc.invert(pc.fill_null(alerts["solar_system"], fill_value=False))
    keep = pc.and_(keep, pc.is_valid(alerts["object_id"]))
    if choice.survey:
        keep = pc.and_(keep, pc.equal(alerts["survey"], choice.survey))
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


def tonight_table(archive: Archive, choice: TonightChoice, top: int) -> pa.Table:
    """Return the same as a table, for files; parameters and errors are those of `tonight`."""
    rows = tonight(archive, choice, top)
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
