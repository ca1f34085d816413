"""Read light curves and objects of an archive.

There is no index yet: each call looks through the narrow columns of all files of the archive, and
reads histories only in the files with alerts that it selects.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from finkray import adapter
from finkray.curves.raw import columns, object_ids, raw_points
from finkray.curves.rules import united
from finkray.curves.schema import KINDS, POINT
from finkray.curves.sky import checked_circle, in_box, separations_arcsec
from finkray.errors import StorageError, UnknownObject
from finkray.services.columns import has
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span, utc
from finkray.storage.layout import ALERTS_FOLDER
from finkray.surveys.survey import TAI_MINUS_UTC_MS

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

BANDS: Final = ("u", "g", "r", "i", "z", "y")

_MOVED_ARCSEC: Final = 3.0
"""A source of LSST that went over to another object lies within this distance of both."""

_CIRCLES_PER_SCAN: Final = 100

_FILE_NAME: Final = "__filename"
"""pyarrow's name for the path of a row's file."""

_UNIX_EPOCH_MJD: Final = 40_587.0
_INT64_MAX: Final = 2**63 - 1

_OBJECT_FIELDS: Final = {
    "ztf": ("objectId",),
    "lsst": (
        *("diaObject.diaObjectId", "diaSource.diaObjectId"),
        *("ssSource.ssObjectId", "diaSource.ssObjectId"),
    ),
}
_POSITION_FIELDS: Final = {
    "ztf": (("candidate.ra",), ("candidate.dec",)),
    "lsst": (("diaSource.ra",), ("diaSource.dec", "diaSource.decl")),
}


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
            _names(bands, BANDS, "band"),
            None if start is None else utc(start),
            None if end is None else utc(end),
            _names(kinds, KINDS, "kind"),
        )

    def of_points(self, points: pa.Table) -> pa.Table:
        """Return the points that are wanted."""
        for column, names in (("band", self.bands), ("kind", self.kinds)):
            if names is not None:
                points = points.filter(pc.field(column).isin(sorted(names)))
        if self.start is not None:
            points = points.filter(pc.field("mjd_tai") >= _mjd_tai(self.start))
        if self.end is not None:
            points = points.filter(pc.field("mjd_tai") < _mjd_tai(self.end))
        return points


def read_curve(storage: Storage, object_id: str | int, choice: Choice) -> pa.Table:
    """Return the light curve of one object.

    Raises
    ------
    UnknownObject
        if no alert of the archive is of this object
    StorageError
        if a file cannot be read
    """
    points = _all_points(storage, [object_id])
    if not points.num_rows:
        raise UnknownObject(
            f"no alert in {storage.uri} is of object {str(object_id)!r}: expected an objectId of "
            "ZTF as ZTF20abfcszi, or a diaObjectId or ssObjectId of LSST. `finkray cone` finds "
            "objects by their position"
        )
    return choice.of_points(points)


def read_curves(storage: Storage, ids: Collection[str | int], choice: Choice) -> pa.Table:
    """Return the light curves of several objects in one table; unknown ones have no row.

    Raises
    ------
    StorageError
        if a file cannot be read
    """
    return choice.of_points(_all_points(storage, ids))


def objects_in_cone(
    storage: Storage, ra_deg: float, dec_deg: float, radius_arcsec: float
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
    found = [pl.DataFrame(_objects_of([], "ztf", circle))]
    for topic in _topics(storage):
        condition = _in_box(topic, circle)
        if condition is not None:
            alerts = topic.read(condition, histories=False)
            found.append(pl.DataFrame(_objects_of([alerts], topic.survey, circle)))
    alerts_in = pl.concat(found).unique(["survey", "object_id", "alert_id"], maintain_order=True)
    in_order = alerts_in.sort("separation_arcsec", "alert_id", nulls_last=True)
    objects = (
        in_order.filter(pl.col("separation_arcsec") <= circle[2])
        .group_by("survey", "object_id", maintain_order=True)
        .agg(
            pl.first("ra_deg", "dec_deg", "separation_arcsec"),
            alerts=pl.len(),
            first_mjd_tai=pl.min("mjd_tai"),
            last_mjd_tai=pl.max("mjd_tai"),
        )
    )
    out: pa.Table = objects.select(OBJECT.names).to_arrow()
    return out.cast(OBJECT)


@dataclass(frozen=True, slots=True)
class _Topic:
    """The alerts of one topic, whose files have one survey's packets."""

    survey: str
    dataset: pads.Dataset

    def field(self, names: Sequence[str]) -> pc.Expression | None:
        """Return the first of some columns that the files have; None if they have none."""
        found = [name for name in names if has(self.dataset.schema, name)]
        return pc.field(*found[0].split(".")) if found else None

    def read(self, condition: pc.Expression, *, histories: bool = True) -> pa.Table:
        """Return the columns that points need of the alerts that meet a condition."""
        names = [
            name
            for name in columns(self.survey)
            if has(self.dataset.schema, name)
            and (histories or not pa.types.is_list(_type_of(self.dataset.schema, name)))
        ]
        chosen = {name: pc.field(*name.split(".")) for name in names}
        try:
            dataset = self._files_with(condition) if histories else self.dataset
            return dataset.to_table(columns=chosen, filter=condition)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"an alert file cannot be read: {error}") from error

    def _files_with(self, condition: pc.Expression) -> pads.Dataset:
        """Return the files with such alerts: a scan would read the histories of all files."""
        found = self.dataset.to_table(columns=[_FILE_NAME], filter=condition)
        paths = set(found[_FILE_NAME].to_pylist())
        files = [file for file in self.dataset.get_fragments() if file.path in paths]
        return pads.FileSystemDataset(
            files, self.dataset.schema, self.dataset.format, self.dataset.filesystem
        )


def _topics(storage: Storage) -> Iterator[_Topic]:
    for folder in sorted(storage.folders(ALERTS_FOLDER)):
        name, _, topic = folder.rpartition("/")[2].partition("=")
        if name != "topic":
            continue
        try:
            dataset, _ = open_dataset(storage, Span(), frozenset([topic]))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise StorageError(f"the alerts of topic {topic} cannot be read: {error}") from error
        for survey, (ra_fields, _) in _POSITION_FIELDS.items():
            if any(has(dataset.schema, field) for field in ra_fields):
                yield _Topic(survey, dataset)


def _all_points(storage: Storage, ids: Collection[str | int]) -> pa.Table:
    names = {str(each).strip() for each in ids}
    parts: list[pl.DataFrame] = []
    for topic in _topics(storage):
        condition = _is_of(topic, names)
        if condition is None:
            continue
        alerts = topic.read(condition)
        parts.append(raw_points(alerts, topic.survey))
        if topic.survey == "lsst":
            parts += [raw_points(near, "lsst") for near in _near_objects(topic, alerts)]
    if not parts:
        return POINT.empty_table()
    points = united(pl.concat(parts))
    return points.filter(pc.field("object_id").isin(sorted(names)))


def _near_objects(topic: _Topic, alerts: pa.Table) -> Iterator[pa.Table]:
    """Yield LSST's alerts near objects: a newer one may say that a source belongs to it instead."""
    detections = adapter.detections(alerts)
    of_object = pl.DataFrame(detections.append_column("dia", object_ids(alerts, "lsst")))
    fixed = of_object.filter(pl.col("object_id").is_not_null()).unique("dia", maintain_order=True)
    circles = fixed.select("ra_deg", "dec_deg").drop_nulls().rows()
    for first in range(0, len(circles), _CIRCLES_PER_SCAN):
        condition = None
        for ra_deg, dec_deg in circles[first : first + _CIRCLES_PER_SCAN]:
            box = _in_box(topic, (ra_deg, dec_deg, _MOVED_ARCSEC))
            condition = box if condition is None or box is None else condition | box
        if condition is not None:
            yield topic.read(condition)


def _is_of(topic: _Topic, names: Collection[str]) -> pc.Expression | None:
    """Return whether an alert is of one of these objects; None if none can be."""
    wanted: list[str] | list[int] = sorted(names)
    if topic.survey == "lsst":
        numbers = (int(name) for name in names if name.isascii() and name.isdigit())
        wanted = sorted(number for number in numbers if 0 < number <= _INT64_MAX)
    condition = None
    for field in _OBJECT_FIELDS[topic.survey]:
        column = topic.field([field])
        if column is not None and wanted:
            found = column.isin(wanted)
            condition = found if condition is None else condition | found
    return condition


def _in_box(topic: _Topic, circle: tuple[float, float, float]) -> pc.Expression | None:
    ra, dec = (topic.field(names) for names in _POSITION_FIELDS[topic.survey])
    return None if ra is None or dec is None else in_box(ra, dec, *circle)


def _objects_of(
    tables: Sequence[pa.Table], survey: str, circle: tuple[float, float, float]
) -> pa.Table:
    """Return object, position, time and separation of alerts."""
    alerts = tables[0] if tables else pa.table({"objectId": pa.array([], pa.string())})
    detections = adapter.detections(alerts.combine_chunks())
    ra, dec = (detections[name].combine_chunks() for name in ("ra_deg", "dec_deg"))
    ids = object_ids(alerts, survey)
    return pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), alerts.num_rows),
            "object_id": ids,
            **{name: detections[name] for name in ("alert_id", "ra_deg", "dec_deg", "mjd_tai")},
            "separation_arcsec": separations_arcsec(ra, dec, *circle[:2]),
        }
    )


def _type_of(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.field(name.split(".", maxsplit=1)[0]).type


def _names(
    given: str | Collection[str] | None, known: Sequence[str], what: str
) -> frozenset[str] | None:
    if given is None:
        return None
    names = frozenset([given] if isinstance(given, str) else given)
    unknown = sorted(names - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no {what}: expected {', '.join(known)}")
    return names


def _mjd_tai(moment: datetime) -> float:
    return _UNIX_EPOCH_MJD + (moment.timestamp() + TAI_MINUS_UTC_MS / 1000) / 86_400
