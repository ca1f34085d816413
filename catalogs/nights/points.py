"""The points of light curves: from alerts and the histories in them, each measurement once.

| kind | ZTF | LSST |
|---|---|---|
| detection | the alert, and the entries of `prv_candidates` with a magnitude; `candid` | the alert, and `prvDiaSources`; `diaSourceId` |
| limit | the entries of `prv_candidates` without one; `pid`, the image of one readout channel | none |
| forced | `fp_hists`; `pid` | `prvDiaForcedSources`; `diaForcedSourceId` |

The number in the table is the point's id: points of an object with the same kind and id are one
measurement. Of a detection the alert itself counts before any history, in which ZTF rounds; of
several histories the newest counts. A limit of an image in which the object was detected is left
out, and so is a source that LSST has withdrawn. Two detections of one exposure are both kept.
"""  # noqa: E501 - a table

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.adapter import ADAPTERS
from finkray.adapter.columns import NJY_ZEROPOINT_MAG, first_valid, numbers

POINT: Final = pa.schema(
    [
        ("kind", pa.string()),
        ("point_id", pa.int64()),
        ("mjd_tai", pa.float64()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("limit_mag", pa.float64()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
    ]
)
"""Columns of a light curve; `flux_njy` is signed, of the difference image, and null for a limit."""

HISTORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ztf": ("prv_candidates", "fp_hists"),
    "lsst": ("prvDiaSources", "prvDiaForcedSources"),
}
"""By survey, the columns with earlier observations."""

_KINDS: Final = ("detection", "limit", "forced")
_DETECTION, _LIMIT, _FORCED = range(3)

_FORCED_SENTINEL: Final = -99_999.0
"""In ZTF's forced photometry, of what could not be measured."""

_BAND_CODES: Final = 512

RAW_POINT: Final = pa.schema(
    [
        ("object", pa.int64()),
        ("kind_code", pa.int8()),
        *POINT.remove(0),
        ("image", pa.int64()),
        ("from_history", pa.int8()),
        ("packet_mjd", pa.float64()),
        ("withdrawn", pa.bool_()),
    ]
)
"""Columns of points as packets have them, with what decides which of several counts."""


def raw_points(alerts: pa.Table, objects: np.ndarray, survey: str) -> pa.Table:
    """Return all points of alerts as the packets have them: `RAW_POINT`.

    Parameters
    ----------
    alerts
        packets of one survey
    objects
        number of each alert's object; alerts without one (-1) give no points
    survey
        its name
    """
    chosen = pa.array(np.flatnonzero(objects >= 0))
    alerts, objects = alerts.take(chosen).combine_chunks(), objects[objects >= 0]
    detections = adapter.detections(alerts)
    packet_mjd = detections["mjd_tai"].combine_chunks()
    record = "candidate" if survey == "ztf" else "diaSource"
    own = _raw(
        objects,
        {
            "kind_code": np.full(len(objects), _DETECTION),
            "point_id": detections["alert_id"],
            **{name: detections[name] for name in ("mjd_tai", "band", "flux_njy", "flux_err_njy")},
            "limit_mag": numbers(alerts, f"{record}.diffmaglim", sentinel=-999.0),
            "ra_deg": detections["ra_deg"],
            "dec_deg": detections["dec_deg"],
            "image": first_valid(alerts, pa.int64(), f"{record}.pid"),
            "from_history": np.zeros(len(objects), np.int8),
            "packet_mjd": packet_mjd,
            "withdrawn": pc.is_valid(numbers(alerts, f"{record}.timeWithdrawnMjdTai")),
        },
    )
    tables = [own]
    for column in HISTORIES[survey]:
        at = alerts.schema.get_field_index(column)
        if at < 0 or pa.types.is_null(alerts.schema.field(at).type):
            continue
        values = alerts.column(at).combine_chunks()
        parents = pc.list_parent_indices(values)
        entries = pa.table({"point": pc.list_flatten(values)})
        tables.append(
            _raw(
                objects[parents.to_numpy()],
                {
                    **_history(entries, column),
                    "from_history": np.ones(len(parents), np.int8),
                    "packet_mjd": packet_mjd.take(parents),
                },
            )
        )
    return pa.concat_tables(tables)


def united(points: pa.Table, objects: np.ndarray) -> pa.StructArray:
    """Return the light curves of objects: each measurement once, in the order of time.

    Parameters
    ----------
    points
        `RAW_POINT` of these objects
    objects
        their numbers, ascending

    Returns
    -------
    pa.StructArray
        for each object a record of equally long lists (`curve_type`), empty if it has no point
    """
    points = points.combine_chunks()
    number = {name: _numpy(points[name]) for name in ("object", "kind_code", "from_history")}
    ids = _ids(points)
    newest_first = -np.nan_to_num(_numpy(points["packet_mjd"]), nan=-np.inf)
    order = np.lexsort(
        (newest_first, number["from_history"], ids, number["kind_code"], number["object"])
    )
    key = np.stack([number["object"], number["kind_code"], ids])[:, order]
    first = np.ones(len(order), bool)
    first[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    kept = order[first]
    kept = kept[~_numpy(points["withdrawn"])[kept]]
    kept = kept[~_superseded(points, number, kept)]
    time = np.nan_to_num(_numpy(points["mjd_tai"])[kept], nan=np.inf)
    kept = kept[np.lexsort((ids[kept], number["kind_code"][kept], time, number["object"][kept]))]
    rows = points.take(pa.array(kept)).combine_chunks()
    ends = np.searchsorted(_numpy(rows["object"]), objects, side="right")
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    kinds = pa.array(_KINDS).take(rows["kind_code"].combine_chunks())
    lists = []
    for field in POINT:
        values = kinds if field.name == "kind" else _whole(rows[field.name])
        lists.append(pa.ListArray.from_arrays(offsets, values))
    return pa.StructArray.from_arrays(lists, fields=list(curve_type()))


def curve_type() -> pa.StructType:
    """Return the type of a light curve: a record of lists, which LSDB shows as nested rows."""
    return pa.struct([(field.name, pa.list_(field.type)) for field in POINT])


def _superseded(points: pa.Table, number: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return which rows are limits of images in which the same object was detected."""
    kinds, objects = number["kind_code"][rows], number["object"][rows]
    images = pc.fill_null(points["image"], -1).to_numpy()[rows]
    different, of_image = np.unique(images, return_inverse=True)
    in_image = objects * len(different) + of_image
    seen = np.isin(in_image, in_image[kinds == _DETECTION])
    return seen & (kinds == _LIMIT) & (images >= 0)


def _history(entries: pa.Table, column: str) -> dict[str, pa.Array | np.ndarray]:
    """Return the columns of `RAW_POINT` that entries of a history have."""
    if column == "fp_hists":
        return _ztf_forced(entries)
    ztf = column == "prv_candidates"
    survey = "ztf" if ztf else "lsst"
    (of_survey,) = (each for each in ADAPTERS if each.survey.name == survey)
    shared = of_survey.history_points(entries)
    out = {field.name: shared.field(field.name) for field in shared.type}
    out["ra_deg"] = numbers(entries, "point.ra", sentinel=-999.0)
    out["dec_deg"] = numbers(entries, "point.dec", "point.decl", sentinel=-999.0)
    image = first_valid(entries, pa.int64(), "point.pid")
    if ztf:
        limits = pc.is_null(numbers(entries, "point.magpsf", sentinel=-999.0))
        out["kind_code"] = np.where(_numpy(limits), _LIMIT, _DETECTION)
        out["point_id"] = pc.if_else(
            limits, image, first_valid(entries, pa.int64(), "point.candid")
        )
    else:
        forced = column == "prvDiaForcedSources"
        out["kind_code"] = np.full(len(image), _FORCED if forced else _DETECTION)
        name = "diaForcedSourceId" if forced else "diaSourceId"
        out["point_id"] = first_valid(entries, pa.int64(), f"point.{name}")
    out["image"] = image
    out["withdrawn"] = pc.is_valid(numbers(entries, "point.timeWithdrawnMjdTai"))
    return out


def _ztf_forced(entries: pa.Table) -> dict[str, pa.Array | np.ndarray]:
    zero_point = numbers(entries, "point.magzpsci", sentinel=_FORCED_SENTINEL)
    to_njy = pc.power(10.0, pc.multiply(-0.4, pc.subtract(zero_point, NJY_ZEROPOINT_MAG)))
    flux = numbers(entries, "point.forcediffimflux", sentinel=_FORCED_SENTINEL)
    flux_err = numbers(entries, "point.forcediffimfluxunc", sentinel=_FORCED_SENTINEL)
    # Time, band and limit are as in the other history.
    (ztf,) = (each for each in ADAPTERS if each.survey.name == "ztf")
    shared = ztf.history_points(entries)
    image = first_valid(entries, pa.int64(), "point.pid")
    return {
        "kind_code": np.full(len(image), _FORCED),
        "point_id": image,
        "mjd_tai": shared.field("mjd_tai"),
        "band": shared.field("band"),
        "flux_njy": pc.multiply(flux, to_njy),
        "flux_err_njy": pc.multiply(flux_err, to_njy),
        "limit_mag": shared.field("limit_mag"),
        "image": image,
    }


def _raw(objects: np.ndarray, columns: Mapping[str, pa.Array | np.ndarray]) -> pa.Table:
    """Return a table of `RAW_POINT`; what is not given is null, and no point is withdrawn."""
    out: list[pa.Array] = [pa.array(objects, pa.int64())]
    for field in list(RAW_POINT)[1:]:
        values = columns.get(field.name)
        if values is None:
            default = False if field.name == "withdrawn" else None
            values = pa.repeat(pa.scalar(default, field.type), len(objects))
        elif isinstance(values, np.ndarray):
            values = pa.array(values)
        out.append(_whole(values).cast(field.type))
    return pa.table(out, schema=RAW_POINT)


def _ids(points: pa.Table) -> np.ndarray:
    """Return the ids of points; one without id is known by its time and band."""
    ids = _whole(points["point_id"])
    if not ids.null_count:
        return _numpy(ids)
    time_us = np.nan_to_num(_numpy(points["mjd_tai"]) * 86_400e6).astype(np.int64)
    bands = _whole(pc.fill_null(points["band"], "")).dictionary_encode()
    # The code must not depend on which bands a table has.
    codes = [sum(map(ord, band)) % _BAND_CODES for band in bands.dictionary.to_pylist()]
    of_band = np.array([*codes, 0], np.int64)[_numpy(bands.indices)]
    by_time = -(time_us * _BAND_CODES + of_band + 1)
    return np.where(_numpy(pc.is_null(ids)), by_time, _numpy(pc.fill_null(ids, 0)))


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    return values


def _numpy(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    out: np.ndarray = (
        values.to_numpy()
        if isinstance(values, pa.ChunkedArray)
        else values.to_numpy(zero_copy_only=False)
    )
    return out
