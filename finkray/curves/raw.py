"""Find the points in alert packets: the detection of each, and the entries of its histories."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.adapter import ADAPTERS
from finkray.adapter.columns import NJY_ZEROPOINT_MAG, find, first_valid, not_negative, numbers

HISTORIES: Final[Mapping[str, Mapping[str, str]]] = {
    "ztf": {"prv_candidates": "detection", "fp_hists": "forced"},
    "lsst": {"prvDiaSources": "detection", "prvDiaForcedSources": "forced"},
}
"""The columns with earlier observations, and the kind of their points, by survey. A survey that is
not here has no light curves."""

RAW: Final = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.string()),
        ("kind", pa.string()),
        ("key", pa.int64()),
        ("mjd_tai", pa.float64()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("limit_mag", pa.float64()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("image", pa.int64()),
        ("detector", pa.int32()),
        ("field", pa.int32()),
        ("rcid", pa.int32()),
        ("fid", pa.int32()),
        ("ref_mag", pa.float64()),
        ("ref_mag_err", pa.float64()),
        ("ref_distance_arcsec", pa.float64()),
        ("procstatus", pa.string()),
        ("own_alert", pa.bool_()),
        ("alert_id", pa.int64()),
        ("packet_mjd", pa.float64()),
        ("names_object", pa.bool_()),
        ("processed_mjd", pa.float64()),
        ("withdrawn", pa.bool_()),
    ]
)
"""Columns of `raw_points`: those of a point, and what decides which of several versions counts.

| column | meaning |
|---|---|
| object_id | object of the packet |
| names_object | LSST: the record itself has the id of that object |
| packet_mjd | time of the detection that caused the packet |
| processed_mjd, withdrawn | LSST: timeProcessedMjdTai, and whether there is a timeWithdrawnMjdTai |
"""

ZTF_PIXEL_ARCSEC: Final = 1.01
"""ZTF's schema gives `distnr` of `candidate` and `prv_candidates` in pixels; that of `fp_hists` is
in arcsec."""

_SENTINEL: Final = -999.0
_FORCED_SENTINEL: Final = -99_999.0
"""ZTF writes it in `fp_hists` for what could not be measured."""

_ZTF_FIELDS: Final = (
    *("jd", "fid", "pid", "diffmaglim", "isdiffpos", "ra", "dec", "magpsf", "sigmapsf"),
    *("field", "rcid", "distnr", "magnr", "sigmagnr"),
)
_LSST_TIMES: Final = ("timeProcessedMjdTai", "timeWithdrawnMjdTai")


def columns(survey: str) -> list[str]:
    """Return the packet columns of a survey from which points are read."""
    if survey == "ztf":
        own = [f"candidate.{name}" for name in _ZTF_FIELDS]
    else:
        own = [f"diaSource.{name}" for name in ("visit", "ccdVisitId", "detector", *_LSST_TIMES)]
        own += ["diaObject.diaObjectId"]
    (of_survey,) = (each for each in ADAPTERS if each.survey.name == survey)
    shared = (*of_survey.reads["detection"], *of_survey.reads["solar_system"])
    return list(dict.fromkeys([*shared, *own, *HISTORIES[survey]]))


def object_ids(alerts: pa.Table, survey: str) -> pa.Array:
    """Return the object of each alert of a survey; null where it has none.

    It is ZTF's `objectId`, LSST's `diaObjectId`, or `ssObjectId` where LSST names no other object.
    """
    if survey == "ztf":
        return first_valid(alerts, pa.string(), "objectId")
    ids = [
        _not_zero(first_valid(alerts, pa.int64(), name))
        for name in (
            *("diaObject.diaObjectId", "diaSource.diaObjectId"),
            *("ssSource.ssObjectId", "diaSource.ssObjectId"),
        )
    ]
    return pc.coalesce(*ids).cast(pa.string())


def raw_points(alerts: pa.Table, survey: str, objects: pa.Array | None = None) -> pl.DataFrame:
    """Return all points of alerts as the packets have them: columns of `RAW`.

    Parameters
    ----------
    alerts
        packets of one survey, with any of the columns of `columns`
    survey
        its name
    objects
        for each alert what stands for its object in the column `object_id`, of any type; None is
        the ids
    """
    alerts = alerts.combine_chunks()
    detections = adapter.detections(alerts)
    ids = object_ids(alerts, survey)
    of_packet: dict[str, pa.Array] = {
        "object_id": ids if objects is None else objects,
        "alert_id": _whole(detections["alert_id"]),
        "packet_mjd": _whole(detections["mjd_tai"]),
    }
    record = "candidate" if survey == "ztf" else "diaSource"
    own = {name: _whole(detections[name]) for name in ("mjd_tai", "band", "flux_njy")}
    own |= {name: _whole(detections[name]) for name in ("flux_err_njy", "ra_deg", "dec_deg")}
    own |= _of_image(alerts, record, survey)
    own |= {"kind": _repeated("detection", alerts.num_rows), "key": of_packet["alert_id"]}
    own |= {"own_alert": _repeated(value=True, count=alerts.num_rows), **of_packet}
    own["names_object"] = _names_object(alerts, record, ids)
    tables = [_table(survey, own, alerts.num_rows)]
    for column in HISTORIES[survey]:
        values = find(alerts, column)
        if values is None or pa.types.is_null(values.type):
            continue
        parents = pc.list_parent_indices(values)
        packet = {name: of_alerts.take(parents) for name, of_alerts in of_packet.items()}
        entries = pa.table({"point": pc.list_flatten(values)})
        entry = {"own_alert": _repeated(value=False, count=len(parents)), **packet}
        entry |= _history(entries, column, survey)
        entry["names_object"] = _names_object(entries, "point", ids.take(parents))
        tables.append(_table(survey, entry, len(parents)))
    return pl.DataFrame(pa.concat_tables(tables))


def _history(entries: pa.Table, column: str, survey: str) -> dict[str, pa.Array]:
    (of_survey,) = (each for each in ADAPTERS if each.survey.name == survey)
    shared = of_survey.history_points(entries)
    out = {field.name: shared.field(field.name) for field in shared.type}
    out |= _of_image(entries, "point", survey)
    kind = HISTORIES[survey][column]
    out["kind"] = _repeated(kind, len(entries))
    if survey == "lsst":
        name = "diaForcedSourceId" if kind == "forced" else "diaSourceId"
        out["key"] = first_valid(entries, pa.int64(), f"point.{name}")
        out["ra_deg"] = numbers(entries, "point.ra")
        out["dec_deg"] = numbers(entries, "point.dec", "point.decl")
        return out
    if kind == "forced":
        return out | _ztf_forced(entries, out["image"])
    is_limit = pc.is_null(numbers(entries, "point.magpsf", sentinel=_SENTINEL))
    out["kind"] = pc.if_else(is_limit, "limit", "detection")
    candid = first_valid(entries, pa.int64(), "point.candid")
    out["key"] = pc.if_else(is_limit, out["image"], candid)
    for name in ("ra", "dec"):
        out[f"{name}_deg"] = numbers(entries, f"point.{name}", sentinel=_SENTINEL)
    return out


def _ztf_forced(entries: pa.Table, image: pa.Array) -> dict[str, pa.Array]:
    zero_point = _forced_number(entries, "magzpsci")
    to_njy = pc.power(10.0, pc.multiply(-0.4, pc.subtract(zero_point, NJY_ZEROPOINT_MAG)))
    flux, unc = (_forced_number(entries, f"forcediffimflux{end}") for end in ("", "unc"))
    unc = pc.if_else(pc.greater(unc, 0.0), unc, None)
    # Masci et al. 2023, arXiv:2305.16279: magnitude of 5 times the error.
    limit = pc.subtract(zero_point, pc.multiply(2.5, pc.log10(pc.multiply(5.0, unc))))
    reference = {
        name: _above(_forced_number(entries, column), -1.0)
        for name, column in (("ref_mag", "magnr"), ("ref_mag_err", "sigmagnr"))
    }
    return {
        "key": image,
        "flux_njy": pc.multiply(flux, to_njy),
        "flux_err_njy": pc.multiply(unc, to_njy),
        "limit_mag": limit,
        "procstatus": first_valid(entries, pa.string(), "point.procstatus"),
        "ref_distance_arcsec": not_negative(_forced_number(entries, "distnr")),
        **reference,
    }


def _of_image(table: pa.Table, record: str, survey: str) -> dict[str, pa.Array]:
    """Return the columns about image, reference and validity of detections and of history."""

    def whole(name: str) -> pa.Array:
        return first_valid(table, pa.int64(), f"{record}.{name}")

    if survey == "lsst":
        return {
            "image": pc.coalesce(whole("visit"), whole("ccdVisitId")),
            "detector": whole("detector"),
            "processed_mjd": numbers(table, f"{record}.timeProcessedMjdTai"),
            "withdrawn": pc.is_valid(numbers(table, f"{record}.timeWithdrawnMjdTai")),
        }
    pixels = not_negative(numbers(table, f"{record}.distnr", sentinel=_SENTINEL))
    return {
        "image": whole("pid"),
        **{name: whole(name) for name in ("field", "rcid", "fid")},
        "limit_mag": numbers(table, f"{record}.diffmaglim", sentinel=_SENTINEL),
        "ref_distance_arcsec": pc.multiply(pixels, ZTF_PIXEL_ARCSEC),
        "ref_mag": _above(numbers(table, f"{record}.magnr", sentinel=_SENTINEL), -1.0),
        "ref_mag_err": not_negative(numbers(table, f"{record}.sigmagnr", sentinel=_SENTINEL)),
    }


def _names_object(table: pa.Table, record: str, object_id: pa.Array) -> pa.Array:
    named = first_valid(table, pa.int64(), f"{record}.diaObjectId").cast(pa.string())
    return pc.fill_null(pc.equal(named, object_id), False)  # noqa: FBT003


def _forced_number(entries: pa.Table, name: str) -> pa.Array:
    return numbers(entries, f"point.{name}", sentinel=_FORCED_SENTINEL)


def _above(values: pa.Array, bound: float) -> pa.Array:
    """Return magnitudes; null where a sentinel that is no magnitude stands."""
    return pc.if_else(pc.greater(values, bound), values, None)


def _not_zero(ids: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(ids, 0), None, ids)


def _repeated(value: str | bool, count: int) -> pa.Array:  # noqa: FBT001
    return pa.repeat(pa.scalar(value), count)


def _whole(values: pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks()


def _table(survey: str, columns_by_name: Mapping[str, pa.Array], count: int) -> pa.Table:
    """Return a table of `RAW`; a column that is not given is null, and no point is withdrawn.

    `object_id` has the type that is given.
    """
    given = {
        "survey": _repeated(survey, count),
        "withdrawn": pa.array(np.zeros(count, bool)),
        **columns_by_name,
    }
    at = RAW.get_field_index("object_id")
    schema = RAW.set(at, RAW.field(at).with_type(given["object_id"].type))
    arrays = [
        given[field.name].cast(field.type) if field.name in given else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
