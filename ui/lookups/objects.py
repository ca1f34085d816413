"""What the archive has of an object, an alert, a circle. Runs in the process of the look-ups."""

from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.curves.lookup import AlertFiles
from finkray.curves.periodogram import Periodogram, periodogram, usable
from finkray.curves.topics import Topic, topics
from finkray.errors import TooFewPoints, UnknownObject
from finkray.reader import Archive
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import dataset_of_files
from finkray.storage.hours import hour_folders
from ui.lookups.alert_files import files_with, hour_of
from ui.lookups.cutouts import png_of_cutout
from ui.lookups.durable import with_durable_times
from ui.lookups.process import LookupRefused
from ui.lookups.records import AlertRecord, ObjectRecord
from ui.lookups.results import results_record

MOST_ALERTS: Final = 2000
"""Alerts of an object that a page lists, the newest; the light curve has all."""

ROW: Final = ("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp")

_ALERT_ID_FIELDS: Final = {"ztf": ("candid",), "lsst": ("diaSourceId", "diaSource.diaSourceId")}


def object_record(archive: Archive, object_id: str) -> ObjectRecord:
    """Return what the archive has of an object.

    Raises
    ------
    UnknownObject
        No alert is of this object.
    StorageError
        A file cannot be read.
    """
    points = archive.lightcurve(object_id)
    storage = storage_of(archive)
    alerts, problems = with_durable_times(storage, _alerts_of(storage, object_id))
    results = results_record(storage, alerts)
    survey = points["survey"][0].as_py()
    return ObjectRecord(object_id, survey, points, alerts, results, _periods(points), problems)


def object_of_alert(archive: Archive, alert_id: int) -> str:
    """Return the id of the object that an alert is of.

    Parameters
    ----------
    archive
        The archive.
    alert_id
        ZTF's candid or LSST's diaSourceId.

    Raises
    ------
    LookupRefused
        There is no such alert, or it is of no object.
    """
    for topic in topics(storage_of(archive)):
        schema = topic.dataset.schema
        for name in _ALERT_ID_FIELDS[topic.survey]:
            if has(schema, name):
                alerts = read_detections(topic, pc.field(*name.split(".")) == alert_id)
                ids = [each for each in alerts["object_id"].to_pylist() if each]
                if ids:
                    return str(ids[0])
    raise LookupRefused(f"no object and no alert of the archive has the id {alert_id}", 404)


def light_curve(archive: Archive, object_id: str) -> pa.Table:
    """Return the light curve of an object."""
    return archive.lightcurve(object_id)


def cone(archive: Archive, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
    """Return the objects in a circle, the nearest first."""
    return archive.cone(ra_deg, dec_deg, radius_arcsec)


def alert_record(
    archive: Archive, topic: str, partition: int, offset: int, at: datetime | None
) -> AlertRecord:
    """Return an alert by its offset in Kafka.

    Parameters
    ----------
    archive
        The archive.
    topic, partition, offset
        The alert.
    at
        Its Kafka timestamp, which spares a search through all hours; None if it is not known.

    Raises
    ------
    LookupRefused
        The archive does not have it.
    """
    found = alert_row(archive, topic, partition, offset, at)
    images = adapter.cutouts(found).to_pylist()[0]
    packet = found.to_pylist()[0]
    return AlertRecord(
        {name: value for name, value in packet.items() if not _is_image(name)}, images
    )


def alert_row(
    archive: Archive, topic: str, partition: int, offset: int, at: datetime | None
) -> pa.Table:
    """Return the row of an alert, with all its columns; the arguments are those of `alert_record`.

    Raises
    ------
    LookupRefused
        The archive does not have it.
    """
    storage = storage_of(archive)
    folders = (folder for folder, _ in hour_folders(storage, hour_of(at), frozenset([topic])))
    paths = files_with(storage, folders, [(topic, partition, offset, None)])
    dataset = dataset_of_files(storage, paths)
    row = (pc.field("kafka_partition") == partition) & (pc.field("kafka_offset") == offset)
    there = has(dataset.schema, "kafka_offset")
    found = dataset.to_table(filter=row) if there else pa.table({})
    if not found.num_rows:
        raise LookupRefused(f"the archive has no alert {topic}[{partition}] at {offset}", 404)
    return found.slice(0, 1)


def cutout_png(archive: Archive, name: str, alert: tuple[str, int, int, datetime | None]) -> bytes:
    """Return an image of an alert as PNG: `science`, `template` or `difference`.

    `alert` are the arguments of `alert_record`.

    Raises
    ------
    LookupRefused
        The archive does not have the alert, or the alert not the image.
    ValueError
        It is no image.
    """
    image = alert_record(archive, *alert).images.get(name)
    if image is None:
        raise LookupRefused(f"the alert has no image {name}", 404)
    return png_of_cutout(image)


def storage_of(archive: Archive) -> Storage:
    """Return the storage of an archive."""
    return archive._storage  # noqa: SLF001 - the reader of users shows no storage


def _is_image(name: str) -> bool:
    return name.lower().startswith("cutout")


def _alerts_of(storage: Storage, object_id: str) -> pa.Table:
    def look(index: Any) -> list[pa.Table]:
        files = None if index is None else index.of_objects([object_id])
        tables = []
        for topic in topics(storage, files):
            condition = topic.is_of([object_id])
            if condition is not None:
                tables.append(read_detections(topic, condition))
        return tables

    tables = AlertFiles(storage).answer(look)
    if not tables:
        raise UnknownObject(f"no alert is of object {object_id!r}")
    alerts = pa.concat_tables(tables).sort_by([("mjd_tai", "descending")])
    return alerts.slice(0, MOST_ALERTS)


def read_detections(topic: Topic, condition: pc.Expression) -> pa.Table:
    """Return detection and place in Kafka of the alerts of a topic that meet a condition."""
    schema = topic.dataset.schema
    names = [name for name in (*adapter.columns("detection"), *ROW) if has(schema, name)]
    found = topic.dataset.to_table(
        columns={name: pc.field(*name.split(".")) for name in names}, filter=condition
    )
    detections = adapter.detections(found)
    for name in ROW:
        detections = detections.append_column(name, found[name])
    return detections


def _periods(points: pa.Table) -> Periodogram | None:
    bands = usable(points)["band"].to_pylist()
    if not bands:
        return None
    try:
        return periodogram(points, max(sorted(set(bands)), key=bands.count))
    except (TooFewPoints, ValueError, ModuleNotFoundError):
        return None
