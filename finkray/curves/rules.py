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

from collections.abc import Sequence
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

MOVED_ARCSEC: Final = 3.0
"""A source of LSST that went over to another object lies within this distance of both."""

_LATER_THAN_PACKET_DAYS: Final = 0.01
"""An entry of a history is at most as late as its packet; both times have errors of seconds."""

_IDENTITY: Final = ("survey", "kind", "key", "_object", "_mjd", "_band")
_IMAGE: Final = ("survey", "object_id", "image", "detector")
_DECIDING: Final = ("processed_mjd", "withdrawn", "own_alert", "packet_mjd", "alert_id")
_SAYS_OBJECT: Final = ("packet_mjd", "names_object", "alert_id", "object_id")
_ORDER: Final = ("survey", "object_id", "mjd_tai", "kind", "key", "band")


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
    out: pa.Table = united_points(raw).to_arrow()
    return out.cast(POINT)


def united_points(raw: pl.DataFrame) -> pl.DataFrame:
    """Return points of packets, each once, by object, time, kind and key: columns of `POINT`.

    Parameters
    ----------
    raw
        columns of `finkray.curves.raw.RAW`; `object_id` may be of any type that has an order
    """
    raw = raw.filter(pl.col("alert_id").is_not_null() & pl.col("object_id").is_not_null())
    points = _newest_versions(_with_identity(raw))
    points = _without_limits_of_detections(points).sort(_ORDER, nulls_last=True)
    return with_magnitudes(_with_doubles(points)).select(POINT.names)


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
    """Return of each measurement the version that counts."""
    versions = _by_measurement(raw, _DECIDING)
    chosen = versions.filter("_first").select("_group", "_row")
    again = versions.filter(pl.col("_best") & ~pl.col("_first"))
    if again.height:
        # The values themselves come last: two packets that differ in nothing else have one order.
        values = [name for name in RAW.names if name not in _DECIDING]
        tied = versions.filter(pl.col("_best") & pl.col("_group").is_in(again["_group"].implode()))
        tied = tied.select("_group", "_row").with_columns(raw[tied["_row"]].select(values))
        tied = tied.sort("_group", *values, descending=True, nulls_last=True)
        tied = tied.unique("_group", keep="first", maintain_order=True)
        chosen = chosen.update(tied.select("_group", "_row"), on="_group").sort("_group")
    own = versions.filter("own_alert")["_group"].unique()
    points = raw[chosen["_row"]].with_columns(own_alert=chosen["_group"].is_in(own.implode()))
    if (points["survey"] != "ztf").any():  # of ZTF the object is part of the identity
        newest = _by_measurement(raw, _SAYS_OBJECT).filter("_first")
        points = points.with_columns(object_id=raw["object_id"][newest["_row"]])
    points = points.filter(~pl.col("withdrawn"))
    too_late = pl.col("mjd_tai") > pl.col("packet_mjd") + _LATER_THAN_PACKET_DAYS
    return points.with_columns(
        time_absurd=is_absurd(pl.col("mjd_tai")) | too_late.fill_null(False),  # noqa: FBT003
    )


def _by_measurement(raw: pl.DataFrame, deciding: Sequence[str]) -> pl.DataFrame:
    """Return the versions of each measurement one after another, the one that counts first.

    Parameters
    ----------
    raw
        points of packets, with their identity
    deciding
        columns of which the greater value counts, the first column before the others

    Returns
    -------
    pl.DataFrame
        `_row` of `raw`; `_group`, the number of the measurement, the same for any `deciding`;
        whether the version is the `_first` of its measurement, and `_best`, equal to the first in
        the columns `deciding`; and these columns
    """
    descending = [False] * len(_IDENTITY) + [True] * len(deciding)
    rows = raw.select(*_IDENTITY, *deciding).with_row_index("_row")
    rows = rows.sort(*_IDENTITY, *deciding, descending=descending, nulls_last=True)
    rows = rows.with_columns(_first=_differs_from_row_before(_IDENTITY))
    rows = rows.with_columns(
        _group=pl.col("_first").cum_sum(),
        _step=(pl.col("_first") | _differs_from_row_before(deciding)).cum_sum(),
    )
    of_first = pl.when("_first").then("_step").forward_fill()
    return rows.select("_row", "_group", "_first", *deciding, _best=pl.col("_step") == of_first)


def _differs_from_row_before(names: Sequence[str]) -> pl.Expr:
    differs = [pl.col(name).ne_missing(pl.col(name).shift()) for name in names]
    return pl.any_horizontal(*differs) | (pl.int_range(pl.len()) == 0)


def _without_limits_of_detections(points: pl.DataFrame) -> pl.DataFrame:
    is_limit = pl.col("kind") == "limit"
    detected = points.filter(kind="detection").select("survey", "object_id", "image").unique()
    limits = points.filter(is_limit).join(detected, on=["survey", "object_id", "image"], how="anti")
    return pl.concat([points.filter(~is_limit), limits.select(points.columns)])


def _with_doubles(points: pl.DataFrame) -> pl.DataFrame:
    """Mark detections of one image but the nearest to the mean of those alone in their image."""
    points = points.with_row_index("_row")
    measured = pl.col("ra_deg").is_not_null() & pl.col("dec_deg").is_not_null()
    detections = points.filter((pl.col("kind") == "detection") & measured)
    of_image = detections.filter(pl.col("image").is_not_null()).group_by(_IMAGE).len()
    of_object = ["survey", "object_id"]
    objects = of_image.filter(pl.col("len") > 1).select(of_object).unique()
    some = detections.join(objects, on=of_object, how="semi").sort("_row")
    ra, dec = pl.col("ra_deg") * np.pi / 180, pl.col("dec_deg") * np.pi / 180
    axes = {"_x": dec.cos() * ra.cos(), "_y": dec.cos() * ra.sin(), "_z": dec.sin()}
    some = some.with_columns(
        _several=(pl.len().over(_IMAGE) > 1) & pl.col("image").is_not_null(), **axes
    )
    alone = ~pl.col("_several")
    used = alone | ~alone.any().over(of_object)
    squared = pl.sum_horizontal(
        (pl.col(axis) - pl.when(used).then(pl.col(axis)).mean().over(of_object)) ** 2
        for axis in axes
    )
    # 1e-18 of the unit sphere is 0.2 mas: nearer to each other than that, the keys decide.
    some = some.with_columns(_squared=squared.round(18)).filter("_several")
    some = some.sort("_squared", "key", nulls_last=True)
    nearest = some.unique(_IMAGE, keep="first", maintain_order=True)["_row"]
    doubles = some.filter(~pl.col("_row").is_in(nearest.implode()))["_row"]
    return points.with_columns(double=pl.col("_row").is_in(doubles.implode()))
