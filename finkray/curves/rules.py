"""Unite the points of alerts: each measurement once.

An object's measurements come again in the history of each of its later alerts, and an alert may
come at two offsets. Which version of a measurement counts:

| kind | key | rule |
|---|---|---|
| detection of ZTF | `candid` | the alert itself before any history, which rounds (18.27396 becomes 18.274) |
| limit | `pid`, the image of one readout channel | a detection of the object in that image wins |
| forced photometry of ZTF | `pid`, of this kind alone | it is made anew for each packet: the newest packet wins |
| LSST's | `diaSourceId`, `diaForcedSourceId` | the newer `timeProcessedMjdTai`; one with `timeWithdrawnMjdTai` is left out |

A point of ZTF belongs to each object whose packets have it; a source of LSST belongs to the object of
the newest packet that has it. A source that was extracted twice in one image is two points; all but
the one nearest to the object's mean position are marked `double`.

The result depends on the set of the packets alone, not on their order or how often each comes.
"""  # noqa: E501 - a table

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from finkray.curves.magnitudes import with_magnitudes
from finkray.curves.raw import HISTORIES, RAW, raw_points
from finkray.curves.schema import POINT

EARLIEST_MJD: Final = 51_544.0
LATEST_MJD: Final = 88_069.0
"""2000-01-01 up to, not including, 2100-01-01, as in `finkray.timestamps`."""

_LATER_THAN_PACKET_DAYS: Final = 0.01
"""An entry of a history is at most as late as its packet; both times have errors of seconds."""

_IDENTITY: Final = ("survey", "kind", "key", "_object", "_mjd", "_band")
_IMAGE: Final = ("survey", "object_id", "image", "detector")


def curve_points(alerts: pa.Table) -> pa.Table:
    """Return the points of alerts of any surveys, each once: columns of `POINT`.

    Rows are in order of object, time, kind and key. Alerts without an object give no points.
    """
    return united(pl.concat(raw_points(alerts, survey) for survey in HISTORIES))


def united(raw: pl.DataFrame) -> pa.Table:
    """Return points of packets, each once; see `curve_points`.

    Parameters
    ----------
    raw
        columns of `finkray.curves.raw.RAW`
    """
    raw = raw.filter(pl.col("alert_id").is_not_null() & pl.col("object_id").is_not_null())
    points = _newest_versions(_with_identity(raw))
    points = _without_limits_of_detections(points)
    points = points.sort("survey", "object_id", "mjd_tai", "kind", "key", "band", nulls_last=True)
    points = with_magnitudes(_with_doubles(points))
    out: pa.Table = points.select(POINT.names).to_arrow()
    return out.cast(POINT)


def is_absurd(mjd: pl.Expr) -> pl.Expr:
    """Return whether a time is missing or outside 2000 to 2100."""
    plausible = mjd.is_finite() & (mjd >= EARLIEST_MJD) & (mjd < LATEST_MJD)
    return ~plausible.fill_null(False)  # noqa: FBT003


def _with_identity(raw: pl.DataFrame) -> pl.DataFrame:
    """Add what tells measurements apart, and clear absurd times of packets."""
    no_key = pl.col("key").is_null()
    return raw.with_columns(
        # A packet of the year 2099 must not be the newest one for ever.
        packet_mjd=pl.when(~is_absurd(pl.col("packet_mjd"))).then(pl.col("packet_mjd")),
        _object=pl.when(pl.col("survey") == "ztf").then(pl.col("object_id")),
        _mjd=pl.when(no_key).then(pl.col("mjd_tai")),
        _band=pl.when(no_key).then(pl.col("band")),
    )


def _newest_versions(raw: pl.DataFrame) -> pl.DataFrame:
    newest = raw.sort(
        "packet_mjd", "names_object", "alert_id", "object_id", descending=True, nulls_last=True
    ).unique(_IDENTITY, keep="first", maintain_order=True)
    objects = newest.select(*_IDENTITY, "object_id")
    # The values themselves come last: two packets that differ in nothing else have one order.
    order = ["processed_mjd", "withdrawn", "own_alert", "packet_mjd", "alert_id"]
    order += [name for name in RAW.names if name not in order]
    chosen = raw.with_columns(_alert=pl.col("own_alert").any().over(_IDENTITY))
    chosen = chosen.sort(order, descending=True, nulls_last=True)
    chosen = chosen.unique(_IDENTITY, keep="first", maintain_order=True)
    chosen = chosen.drop("object_id").join(objects, on=_IDENTITY, nulls_equal=True)
    chosen = chosen.filter(~pl.col("withdrawn"))
    too_late = pl.col("mjd_tai") > pl.col("packet_mjd") + _LATER_THAN_PACKET_DAYS
    return chosen.with_columns(
        time_absurd=is_absurd(pl.col("mjd_tai")) | too_late.fill_null(False),  # noqa: FBT003
        own_alert=pl.col("_alert"),
    )


def _without_limits_of_detections(points: pl.DataFrame) -> pl.DataFrame:
    is_limit = pl.col("kind") == "limit"
    detected = points.filter(kind="detection").select("survey", "object_id", "image").unique()
    limits = points.filter(is_limit).join(detected, on=["survey", "object_id", "image"], how="anti")
    return pl.concat([points.filter(~is_limit), limits.select(points.columns)])


def _with_doubles(points: pl.DataFrame) -> pl.DataFrame:
    """Mark detections of one image but the nearest to the mean of those alone in their image."""
    ra, dec = pl.col("ra_deg") * np.pi / 180, pl.col("dec_deg") * np.pi / 180
    axes = {"_x": dec.cos() * ra.cos(), "_y": dec.cos() * ra.sin(), "_z": dec.sin()}
    is_detection = (pl.col("kind") == "detection") & pl.col("_x").is_not_null()
    detections = is_detection.sum().over(_IMAGE)
    points = points.with_columns(**axes).with_columns(
        _detection=is_detection,
        _several=is_detection & (detections > 1) & pl.col("image").is_not_null(),
    )
    of_object = ["survey", "object_id"]
    alone = pl.col("_detection") & ~pl.col("_several")
    used = alone | (pl.col("_detection") & ~alone.any().over(of_object))
    squared = pl.sum_horizontal(
        (pl.col(axis) - pl.when(used).then(pl.col(axis)).mean().over(of_object)) ** 2
        for axis in axes
    )
    # 1e-18 of the unit sphere is 0.2 mas: nearer to each other than that, the keys decide.
    points = points.with_columns(_squared=pl.when("_several").then(squared.round(18)))
    first = points.filter("_several").sort("_squared", "key", nulls_last=True)
    first = first.unique(_IMAGE, keep="first", maintain_order=True)
    nearest = first.select(*_IDENTITY[:4], _nearest=pl.lit(True))  # noqa: FBT003
    points = points.join(nearest, on=_IDENTITY[:4], how="left", nulls_equal=True)
    points = points.with_columns(double=pl.col("_several") & pl.col("_nearest").is_null())
    return points.sort("survey", "object_id", "mjd_tai", "kind", "key", "band", nulls_last=True)
