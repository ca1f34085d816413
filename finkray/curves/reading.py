"""Read light curves and objects of an archive.

Each call opens only the files that the object index names. An archive without an index is looked
through: the narrow columns of all its files, and histories only in the files with alerts that are
selected. The answer is the same.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.curves.choice import BANDS, mjd_tai_of, names_of
from finkray.curves.lookup import AlertFiles, Circle, IndexedFiles
from finkray.curves.raw import object_ids, raw_points
from finkray.curves.rules import MOVED_ARCSEC, united
from finkray.curves.schema import KINDS, POINT
from finkray.curves.sky import BOX_REACH
from finkray.curves.topics import Topic, topics
from finkray.errors import UnknownObject
from finkray.index.circle import checked_circle, separations_arcsec
from finkray.storage.contract import Storage
from finkray.storage.hours import utc

OBJECT: Final = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.string()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("separation_arcsec", pa.float64()),
        ("alerts", pa.int64()),
        ("first_mjd_tai", pa.float64()),
        ("last_mjd_tai", pa.float64()),
    ]
)
"""Columns of `objects_in_cone`: one row for each object with an alert in the circle. Position and
separation are those of its alert nearest to the centre; the other columns count its alerts in the
circle."""

_CIRCLES_PER_SCAN: Final = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """The points of a light curve that are wanted.

    Attributes
    ----------
    bands, kinds
        None is all
    start, end
        time of the exposure from `start` up to, not including, `end`; None is without bound
    """

    bands: frozenset[str] | None = None
    start: datetime | None = None
    end: datetime | None = None
    kinds: frozenset[str] | None = None

    @classmethod
    def of(
        cls,
        bands: str | Collection[str] | None,
        start: datetime | str | None,
        end: datetime | str | None,
        kinds: str | Collection[str] | None,
    ) -> "Choice":
        """Check the arguments of `Archive.lightcurve`.

        Raises
        ------
        ValueError
            if a band or a kind is unknown, or a time is malformed
        """
        return cls(
            names_of(bands, BANDS, "band"),
            None if start is None else utc(start),
            None if end is None else utc(end),
            names_of(kinds, KINDS, "kind"),
        )

    def of_points(self, points: pa.Table) -> pa.Table:
        """Return the points that are wanted."""
        for column, names in (("band", self.bands), ("kind", self.kinds)):
            if names is not None:
                points = points.filter(pc.field(column).isin(sorted(names)))
        if self.start is not None:
            points = points.filter(pc.field("mjd_tai") >= mjd_tai_of(self.start))
        if self.end is not None:
            points = points.filter(pc.field("mjd_tai") < mjd_tai_of(self.end))
        return points


def read_curve(files: AlertFiles, object_id: str | int, choice: Choice) -> pa.Table:
    """Return the light curve of one object.

    Raises
    ------
    UnknownObject
        if no alert of the archive is of this object
    StorageError
        if a file cannot be read
    """
    points = _all_points(files, [object_id])
    if not points.num_rows:
        raise UnknownObject(
            f"no alert in {files.storage.uri} is of object {str(object_id)!r}: expected an "
            "objectId of ZTF as ZTF20abfcszi, or a diaObjectId or ssObjectId of LSST. "
            "`finkray cone` finds objects by their position"
        )
    return choice.of_points(points)


def read_curves(files: AlertFiles, ids: Collection[str | int], choice: Choice) -> pa.Table:
    """Return the light curves of several objects in one table; unknown ones have no row.

    Raises
    ------
    StorageError
        if a file cannot be read
    """
    return choice.of_points(_all_points(files, ids))


def objects_in_cone(
    files: AlertFiles, ra_deg: float, dec_deg: float, radius_arcsec: float
) -> pa.Table:
    """Return the objects with an alert in a circle, the nearest first: columns of `OBJECT`.

    Raises
    ------
    ValueError
        if the circle is none
    StorageError
        if a file cannot be read
    """
    circle = checked_circle(ra_deg, dec_deg, radius_arcsec)
    found = files.answer(lambda index: _alerts_in_box(files.storage, circle, index))
    in_circle = pl.concat(found).filter(pl.col("separation_arcsec") <= circle[2])
    # All columns, so that the order of the files changes nothing.
    in_order = in_circle.sort(
        *("separation_arcsec", "alert_id", "survey", "object_id", "mjd_tai", "ra_deg", "dec_deg"),
        nulls_last=True,
    ).unique(["survey", "object_id", "alert_id"], keep="first", maintain_order=True)
    objects = in_order.group_by("survey", "object_id", maintain_order=True).agg(
        pl.first("ra_deg", "dec_deg", "separation_arcsec"),
        alerts=pl.len(),
        first_mjd_tai=pl.min("mjd_tai"),
        last_mjd_tai=pl.max("mjd_tai"),
    )
    out: pa.Table = objects.select(OBJECT.names).to_arrow()
    return out.cast(OBJECT)


def _all_points(files: AlertFiles, ids: Collection[str | int]) -> pa.Table:
    names = {str(each).strip() for each in ids}
    parts = files.answer(lambda index: _points(files.storage, names, index))
    if not parts:
        return POINT.empty_table()
    points = united(pl.concat(parts))
    return points.filter(pc.field("object_id").isin(sorted(names)))


def _points(
    storage: Storage, names: Collection[str], index: IndexedFiles | None
) -> list[pl.DataFrame]:
    """Return the points of the alerts of objects, and of LSST's alerts near them."""
    parts: list[pl.DataFrame] = []
    for topic in topics(storage, None if index is None else index.of_objects(names)):
        condition = topic.is_of(names)
        if condition is None:
            continue
        alerts = topic.read(condition)
        parts.append(raw_points(alerts, topic.survey))
        if topic.survey == "lsst":
            near = _near_objects(storage, topic, alerts, index)
            parts += [raw_points(each, "lsst") for each in near]
    return parts


def _near_objects(
    storage: Storage, topic: Topic, alerts: pa.Table, index: IndexedFiles | None
) -> Iterator[pa.Table]:
    """Yield LSST's alerts near objects: a newer one may say that a source belongs to it instead."""
    detections = adapter.detections(alerts)
    of_object = pl.DataFrame(detections.append_column("dia", object_ids(alerts, "lsst")))
    fixed = of_object.filter(pl.col("object_id").is_not_null()).unique("dia", maintain_order=True)
    # A position outside these ranges has no neighbours.
    on_sky = (pl.col("ra_deg").abs() <= 360) & (pl.col("dec_deg").abs() <= 90)
    places = fixed.filter(on_sky).select(pl.col("ra_deg") % 360, "dec_deg").rows()
    for first in range(0, len(places), _CIRCLES_PER_SCAN):
        some = places[first : first + _CIRCLES_PER_SCAN]
        for other in _with_alerts_near(storage, topic, some, index):
            condition = None
            for ra_deg, dec_deg in some:
                box = other.in_box((ra_deg, dec_deg, MOVED_ARCSEC))
                condition = box if condition is None or box is None else condition | box
            if condition is not None:
                yield other.read(condition)


def _with_alerts_near(
    storage: Storage,
    topic: Topic,
    places: Sequence[tuple[float, float]],
    index: IndexedFiles | None,
) -> list[Topic]:
    """Return a topic with the files that may have alerts in the boxes around some positions."""
    if index is None:
        return [topic]
    files = index.in_circles((*place, MOVED_ARCSEC * BOX_REACH) for place in places)
    found = topics(storage, files)
    return [each for each in found if (each.name, each.survey) == (topic.name, topic.survey)]


def _alerts_in_box(
    storage: Storage, circle: Circle, index: IndexedFiles | None
) -> list[pl.DataFrame]:
    """Return object, position, time and separation of the alerts in the box around a circle."""
    found = [_no_object()]
    for topic in topics(storage, None if index is None else index.in_circles([circle])):
        condition = topic.in_box(circle)
        if condition is not None:
            found.append(_objects_of(topic.read(condition, histories=False), topic.survey, circle))
    return found


@cache
def _no_object() -> pl.DataFrame:
    """Return what `_objects_of` returns of no alerts; made once, for it takes a millisecond."""
    return _objects_of(pa.table({"objectId": pa.array([], pa.string())}), "ztf", (0.0, 0.0, 1.0))


def _objects_of(alerts: pa.Table, survey: str, circle: Circle) -> pl.DataFrame:
    detections = adapter.detections(alerts.combine_chunks())
    ra, dec = (detections[name].to_numpy() for name in ("ra_deg", "dec_deg"))
    columns = ("alert_id", "ra_deg", "dec_deg", "mjd_tai")
    table = pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), alerts.num_rows),
            "object_id": object_ids(alerts, survey),
            **{name: detections[name] for name in columns},
            "separation_arcsec": separations_arcsec(ra, dec, *circle[:2]),
        }
    )
    return pl.DataFrame(table)
