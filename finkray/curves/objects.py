"""List the objects of an archive: where they are, how often, when and how bright they were seen.

Each alert counts once, with its own detection; histories are not read. So narrow columns are
enough, which come from the HATS nights that are built, and else from hourly files.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
import pyarrow as pa

from finkray import adapter
from finkray.curves.choice import BANDS, mjd_tai_of, names_of
from finkray.curves.lookup import AlertFiles, Circle, IndexedFiles
from finkray.curves.raw import object_ids
from finkray.curves.reading import OBJECT
from finkray.curves.topics import Topic, topics
from finkray.index.circle import checked_circle, separations_arcsec
from finkray.storage.contract import Storage
from finkray.storage.hours import utc

OBJECTS: Final = pa.schema(
    [
        *OBJECT,
        ("bands", pa.list_(pa.string())),
        ("brightest_mag", pa.float64()),
        ("faintest_mag", pa.float64()),
    ]
)
"""Columns of `read_objects`: one row for each object with an alert that is selected.

| column | meaning |
|---|---|
| ra_deg, dec_deg | ICRS, of its latest alert; with a cone, of its alert nearest to the centre |
| separation_arcsec | of that alert from the centre of the cone; null without a cone |
| alerts | its selected alerts, each once, however often it is in the archive |
| first_mjd_tai, last_mjd_tai | times of the earliest and the latest of these |
| bands | their bands, in order of wavelength |
| brightest_mag, faintest_mag | AB magnitude of the amount of the difference flux of these |
"""

_COLUMNS: Final = (
    *("alert_id", "ra_deg", "dec_deg", "mjd_tai", "band", "mag"),
    *("survey", "object_id", "separation_arcsec"),
)

_ROWS: Final = 50_000
"""Alerts that are turned into shared columns at a time: files of a trickle have ten each, and a
call costs milliseconds."""

_BAND: Final = pl.Enum(BANDS)


@dataclass(frozen=True, slots=True)
class ObjectChoice:
    """The objects that are wanted.

    Attributes
    ----------
    circle
        where an alert lies; None is the whole sky
    start_mjd_tai, end_mjd_tai
        times of the exposure, the end not included; None is without bound
    bands
        None is all
    min_alerts, max_alerts
        how many alerts an object has within the above; `max_alerts` None is without bound
    """

    circle: Circle | None = None
    start_mjd_tai: float | None = None
    end_mjd_tai: float | None = None
    bands: frozenset[str] | None = None
    min_alerts: int = 1
    max_alerts: int | None = None

    @classmethod
    def of(
        cls,
        *,
        cone: tuple[float, float, float] | None,
        start: datetime | str | None,
        end: datetime | str | None,
        bands: str | Collection[str] | None,
        min_alerts: int,
        max_alerts: int | None,
    ) -> "ObjectChoice":
        """Check the arguments of `Archive.objects`.

        Raises
        ------
        ValueError
            if the cone is none, a time is malformed, or a band is unknown
        """
        return cls(
            None if cone is None else checked_circle(*cone),
            None if start is None else mjd_tai_of(utc(start)),
            None if end is None else mjd_tai_of(utc(end)),
            names_of(bands, BANDS, "band"),
            min_alerts,
            max_alerts,
        )

    def of_alerts(self, alerts: pl.DataFrame) -> pl.DataFrame:
        """Return the alerts that are wanted."""
        wanted = pl.col("object_id").is_not_null()
        if self.circle is not None:
            wanted &= pl.col("separation_arcsec") <= self.circle[2]
        if self.start_mjd_tai is not None:
            wanted &= pl.col("mjd_tai") >= self.start_mjd_tai
        if self.end_mjd_tai is not None:
            wanted &= pl.col("mjd_tai") < self.end_mjd_tai
        if self.bands is not None:
            wanted &= pl.col("band").is_in(sorted(self.bands))
        return alerts.filter(wanted)


def read_objects(files: AlertFiles, choice: ObjectChoice) -> pa.Table:
    """Return the objects of an archive: columns of `OBJECTS`.

    They are in order of survey and id; with a cone, the nearest comes first.

    Raises
    ------
    StorageError
        if a file cannot be read
    """
    if choice.circle is None:
        parts = _selected(files.storage, choice, None)
    else:
        parts = files.answer(lambda index: _selected(files.storage, choice, index))
    in_cone = choice.circle is not None
    # All columns decide, so that the order of the files changes nothing.
    others = ("alert_id", "ra_deg", "dec_deg", "mag")
    alerts = pl.concat(parts)
    if in_cone:
        alerts = alerts.sort("separation_arcsec", "mjd_tai", *others, nulls_last=True)
    else:
        alerts = alerts.sort("mjd_tai", *others, descending=True, nulls_last=True)
    objects = (
        alerts.unique(["survey", "object_id", "alert_id"], keep="first", maintain_order=True)
        .group_by("survey", "object_id")
        .agg(
            pl.first("ra_deg", "dec_deg", "separation_arcsec"),
            alerts=pl.len().cast(pl.Int64),
            first_mjd_tai=pl.min("mjd_tai"),
            last_mjd_tai=pl.max("mjd_tai"),
            bands=pl.col("band").drop_nulls().unique().sort().cast(pl.String),
            brightest_mag=pl.min("mag"),
            faintest_mag=pl.max("mag"),
        )
        .filter(pl.col("alerts") >= choice.min_alerts)
    )
    if choice.max_alerts is not None:
        objects = objects.filter(pl.col("alerts") <= choice.max_alerts)
    named = ("survey", "object_id")
    objects = objects.sort(*(("separation_arcsec", *named) if in_cone else named))
    out: pa.Table = objects.select(OBJECTS.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return out.cast(OBJECTS)


def _selected(
    storage: Storage, choice: ObjectChoice, index: IndexedFiles | None
) -> list[pl.DataFrame]:
    """Return the wanted alerts, one frame for some files."""
    circle = choice.circle
    paths = None if index is None or circle is None else index.in_circles([circle])
    empty = pa.table({"objectId": pa.array([], pa.string())})
    parts = [_frame(empty, "ztf", choice)]
    for topic in topics(storage, paths):
        parts += (_frame(alerts, topic.survey, choice) for alerts in _tables(topic, circle))
    return parts


def _tables(topic: Topic, circle: Circle | None) -> Iterator[pa.Table]:
    """Yield the alerts of a topic, some files at a time."""
    condition = None if circle is None else topic.in_box(circle)
    if circle is not None and condition is None:
        return
    batches: list[pa.RecordBatch] = []
    for batch in topic.batches(condition):
        batches.append(batch)
        if sum(map(len, batches)) >= _ROWS:
            yield pa.Table.from_batches(batches).combine_chunks()
            batches = []
    if batches:
        yield pa.Table.from_batches(batches).combine_chunks()


def _frame(alerts: pa.Table, survey: str, choice: ObjectChoice) -> pl.DataFrame:
    """Return the wanted alerts of one survey in shared columns."""
    detections = adapter.detections(alerts)
    columns = {name: detections[name] for name in _COLUMNS[:6]}
    columns["survey"] = pa.repeat(pa.scalar(survey), alerts.num_rows)
    columns["object_id"] = object_ids(alerts, survey)
    columns["separation_arcsec"] = pa.nulls(alerts.num_rows, pa.float64())
    if choice.circle is not None:
        ra, dec = (detections[name].to_numpy() for name in ("ra_deg", "dec_deg"))
        columns["separation_arcsec"] = pa.array(separations_arcsec(ra, dec, *choice.circle[:2]))
    frame = pl.DataFrame(pa.table(columns)).with_columns(pl.col("band").cast(_BAND, strict=False))
    return choice.of_alerts(frame.select(_COLUMNS))
