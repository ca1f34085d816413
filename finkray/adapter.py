"""One view of the alerts of ZTF and LSST, so that a service is written once for both.

    class Bright(finkray.Service):
        columns = adapter.columns("detection")
        def process(self, alerts):
            detections = adapter.detections(alerts)
            bright = pc.greater(detections["flux_njy"], 36_000)

A table may have the packets of one survey, of several of its schema versions, or of both surveys
at once. Columns that it does not have are read as null; so are ZTF's sentinels (-999, "null").
"""

import gzip
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.surveys import LSST, TAI_MINUS_UTC_MS, ZTF

__all__ = [
    "CUTOUTS",
    "DETECTION",
    "HISTORY_POINT",
    "NEAR_KNOWN_ARCSEC",
    "NEIGHBOUR",
    "NJY_ZEROPOINT_MAG",
    "SOLAR_SYSTEM",
    "Part",
    "columns",
    "cutouts",
    "detections",
    "fits_bytes",
    "history",
    "neighbours",
    "positions",
    "solar_system",
]

Part = Literal["detection", "solar_system", "neighbour", "history", "cutouts"]

NJY_ZEROPOINT_MAG: Final = 31.4
"""AB magnitude of 1 nJy: 8.90 + 2.5 * log10(1e9) = 31.40."""

NEAR_KNOWN_ARCSEC: Final = 5.0
"""A ZTF alert this near to where a known Solar System object must be is taken to be that object;
Fink's filters draw the line here too. ZTF itself looks as far as 30 arcsec."""

DETECTION: Final = pa.schema(
    [
        ("survey", pa.string()),
        ("alert_id", pa.int64()),
        ("object_id", pa.string()),
        ("ra_deg", pa.float64()),
        ("dec_deg", pa.float64()),
        ("mjd_tai", pa.float64()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("mag", pa.float64()),
        ("mag_err", pa.float64()),
    ]
)
"""What `detections` gives.

| column | ZTF | LSST |
|---|---|---|
| alert_id | candid | diaSourceId |
| object_id | objectId | diaObjectId; null for a Solar System object |
| ra_deg, dec_deg | ICRS | ICRS |
| mjd_tai | start of the exposure | middle of the exposure |
| band | g, r, i | u, g, r, i, z, y |
| flux_njy, flux_err_njy | of the difference image, from magpsf and isdiffpos | psfFlux |
| mag, mag_err | AB, of the difference's amount: magpsf, sigmapsf | from psfFlux |
"""

SOLAR_SYSTEM: Final = pa.schema(
    [
        ("solar_system", pa.bool_()),
        ("name", pa.string()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""What `solar_system` gives: whether the alert is of a known object of the Solar System, the
object's name, and how far it is from where it must be (ZTF `ssdistnr`, LSST `ephOffset`)."""

NEIGHBOUR: Final = pa.schema(
    [
        ("star_score", pa.float64()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""What `neighbours` gives: how much the nearest source of Pan-STARRS looks like a star (ZTF
`sgscore1`, from 0, a galaxy, to 1), and how far it is (`distpsnr1`). LSST tells of none."""

HISTORY_POINT: Final = pa.struct(
    [
        ("mjd_tai", pa.float64()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("limit_mag", pa.float64()),
    ]
)
"""An earlier look at the same place; `flux_njy` is null where nothing was detected above
`limit_mag` (ZTF alone sends these)."""

CUTOUTS: Final = pa.schema(
    [("science", pa.binary()), ("template", pa.binary()), ("difference", pa.binary())]
)

_ZTF_BANDS: Final = pa.array([None, "g", "r", "i"])
_SENTINEL: Final = -999.0
_MAG_TO_SIGMA: Final = 2.5 / np.log(10)
_MJD_OF_JD_0: Final = 2_400_000.5
_TAI_MINUS_UTC_DAYS: Final = TAI_MINUS_UTC_MS / 86_400_000

_READS: Final[dict[Part, tuple[str, ...]]] = {
    "detection": (
        "candid",
        "objectId",
        *(f"candidate.{name}" for name in ("ra", "dec", "jd", "fid")),
        *(f"candidate.{name}" for name in ("magpsf", "sigmapsf", "isdiffpos")),
        *(f"diaSource.{name}" for name in ("diaSourceId", "diaObjectId", "ra", "dec", "decl")),
        *(f"diaSource.{name}" for name in ("midpointMjdTai", "midPointTai", "band", "filterName")),
        *(f"diaSource.{name}" for name in ("psfFlux", "psFlux", "psfFluxErr", "psFluxErr")),
    ),
    "solar_system": (
        "candidate.ssdistnr",
        "candidate.ssnamenr",
        "diaSource.ssObjectId",
        "ssSource.ssObjectId",
        "ssSource.designation",
        "ssSource.ephOffset",
    ),
    "neighbour": ("candidate.sgscore1", "candidate.distpsnr1"),
    "history": ("prv_candidates", "prvDiaSources"),
    "cutouts": (
        *(f"cutout{which}.stampData" for which in ("Science", "Template", "Difference")),
        *(f"cutout{which}" for which in ("Science", "Template", "Difference")),
    ),
}


def columns(*parts: Part) -> list[str]:
    """The columns of the packets that are read for some parts, of both surveys and all versions."""
    return list(dict.fromkeys(column for part in parts for column in _READS[part]))


def detections(alerts: pa.Table) -> pa.Table:
    """What was detected: a row for each alert, columns as `DETECTION` says."""
    ztf, lsst = _ztf_detections(alerts), _lsst_detections(alerts)
    is_lsst = pc.is_valid(lsst["alert_id"])
    known = pc.or_(is_lsst, pc.is_valid(ztf["alert_id"]))
    survey = pc.if_else(is_lsst, LSST.name, ZTF.name)
    out = {"survey": pc.if_else(known, survey, None)}
    for name in DETECTION.names[1:]:
        out[name] = pc.coalesce(lsst[name], ztf[name])
    return pa.table(out).cast(DETECTION)


def positions(alerts: pa.Table) -> pa.Table:
    """`ra_deg`, `dec_deg` and `mjd_tai` alone: what a cross-match wants."""
    return detections(alerts).select(["ra_deg", "dec_deg", "mjd_tai"])


def solar_system(alerts: pa.Table) -> pa.Table:
    """Whether alerts are of known Solar System objects: columns as `SOLAR_SYSTEM` says."""
    near = _positive(_leaf(alerts, pa.float64(), "candidate.ssdistnr"))
    ztf_name = _leaf(alerts, pa.string(), "candidate.ssnamenr")
    ztf_name = pc.if_else(pc.is_in(ztf_name, pa.array(["null", ""])), None, ztf_name)
    ztf = pc.and_(
        pc.fill_null(pc.less_equal(near, NEAR_KNOWN_ARCSEC), False),  # noqa: FBT003
        pc.is_valid(ztf_name),
    )
    number = pc.coalesce(
        _leaf(alerts, pa.int64(), "diaSource.ssObjectId"),
        _leaf(alerts, pa.int64(), "ssSource.ssObjectId"),
    )
    lsst = pc.fill_null(pc.not_equal(number, 0), False)  # noqa: FBT003
    designation = _leaf(alerts, pa.string(), "ssSource.designation")
    offset = _leaf(alerts, pa.float64(), "ssSource.ephOffset")
    out = {
        "solar_system": pc.or_(ztf, lsst),
        "name": pc.if_else(lsst, designation, pc.if_else(ztf, ztf_name, None)),
        "separation_arcsec": pc.if_else(lsst, offset, pc.if_else(ztf, near, None)),
    }
    return pa.table(out).cast(SOLAR_SYSTEM)


def neighbours(alerts: pa.Table) -> pa.Table:
    """The nearest source that the packet names: columns as `NEIGHBOUR` says, null where none is."""
    separation = _positive(_leaf(alerts, pa.float64(), "candidate.distpsnr1"))
    score = _positive(_leaf(alerts, pa.float64(), "candidate.sgscore1"))
    known = pc.and_(pc.is_valid(separation), pc.is_valid(score))
    out = {
        "star_score": pc.if_else(known, score, None),
        "separation_arcsec": pc.if_else(known, separation, None),
    }
    return pa.table(out).cast(NEIGHBOUR)


def history(alerts: pa.Table) -> pa.Array:
    """Earlier looks, as the packets bring them: a list of `HISTORY_POINT` for each alert.

    ZTF's `prv_candidates` and LSST's `prvDiaSources`, in the packets' order; forced photometry is
    not among them. An alert without history has an empty list.
    """
    ztf = _lists(alerts, "prv_candidates", _ztf_points)
    lsst = _lists(alerts, "prvDiaSources", _lsst_points)
    points = pa.concat_arrays([ztf.points, lsst.points])
    # Where an alert's points stand: those of ZTF come first.
    counts = np.where(lsst.counts > 0, lsst.counts, ztf.counts)
    starts = np.where(lsst.counts > 0, lsst.starts + len(ztf.points), ztf.starts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    order = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), points.take(pa.array(order)))


def cutouts(alerts: pa.Table) -> pa.Table:
    """The three images as the packets bring them; `fits_bytes` makes FITS of each."""
    out = {}
    for name in CUTOUTS.names:
        column = f"cutout{name.capitalize()}"
        ztf = _leaf(alerts, pa.binary(), f"{column}.stampData")
        plain = _find(alerts, column)
        if plain is not None and pa.types.is_struct(plain.type):
            plain = None
        out[name] = ztf if plain is None else pc.coalesce(plain.cast(pa.binary()), ztf)
    return pa.table(out).cast(CUTOUTS)


def fits_bytes(cutout: bytes) -> bytes:
    """A cutout as a FITS file: ZTF's are gzipped, LSST's are not."""
    return gzip.decompress(cutout) if cutout.startswith(b"\x1f\x8b") else cutout


def _ztf_detections(alerts: pa.Table) -> pa.Table:
    jd = _positive(_leaf(alerts, pa.float64(), "candidate.jd"))
    mag = _measured(_leaf(alerts, pa.float64(), "candidate.magpsf"))
    mag_err = _measured(_leaf(alerts, pa.float64(), "candidate.sigmapsf"))
    sign = _sign(_leaf(alerts, pa.string(), "candidate.isdiffpos"))
    flux, flux_err = _flux_of_mag(mag, mag_err, sign)
    return pa.table(
        {
            "alert_id": _leaf(alerts, pa.int64(), "candid"),
            "object_id": _leaf(alerts, pa.string(), "objectId"),
            "ra_deg": _measured(_leaf(alerts, pa.float64(), "candidate.ra")),
            "dec_deg": _measured(_leaf(alerts, pa.float64(), "candidate.dec")),
            "mjd_tai": _mjd_tai_of_jd(jd),
            "band": _ztf_band(_leaf(alerts, pa.int64(), "candidate.fid")),
            "flux_njy": flux,
            "flux_err_njy": flux_err,
            "mag": mag,
            "mag_err": mag_err,
        }
    )


def _lsst_detections(alerts: pa.Table) -> pa.Table:
    def number(*names: str) -> pa.Array:
        return _measured(
            _leaf(alerts, pa.float64(), *(f"diaSource.{name}" for name in names)), sentinel=False
        )

    flux, flux_err = number("psfFlux", "psFlux"), number("psfFluxErr", "psFluxErr")
    mag, mag_err = _mag_of_flux(flux, flux_err)
    object_id = _leaf(alerts, pa.int64(), "diaSource.diaObjectId")
    object_id = pc.if_else(pc.equal(object_id, 0), None, object_id)
    return pa.table(
        {
            "alert_id": _leaf(alerts, pa.int64(), "diaSource.diaSourceId"),
            "object_id": object_id.cast(pa.string()),
            "ra_deg": number("ra"),
            "dec_deg": number("dec", "decl"),
            "mjd_tai": number("midpointMjdTai", "midPointTai"),
            "band": _leaf(alerts, pa.string(), "diaSource.band", "diaSource.filterName"),
            "flux_njy": flux,
            "flux_err_njy": flux_err,
            "mag": mag,
            "mag_err": mag_err,
        }
    )


class _Lists(NamedTuple):
    """The points of all alerts one after the other, and where each alert's begin."""

    points: pa.Array
    starts: np.ndarray
    counts: np.ndarray


def _lists(alerts: pa.Table, column: str, points_of: Callable[[pa.Table], pa.Array]) -> _Lists:
    values = _find(alerts, column)
    if values is None or pa.types.is_null(values.type):
        nothing = np.zeros(alerts.num_rows, np.int64)
        return _Lists(pa.array([], HISTORY_POINT), nothing, nothing)
    counts = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    counts = counts.astype(np.int64)
    flat = pc.list_flatten(values)
    points = points_of(pa.table({"point": flat}))
    return _Lists(points, np.cumsum(counts) - counts, counts)


def _ztf_points(table: pa.Table) -> pa.Array:
    def number(name: str) -> pa.Array:
        return _measured(_leaf(table, pa.float64(), f"point.{name}"))

    mag, mag_err = number("magpsf"), number("sigmapsf")
    sign = _sign(_leaf(table, pa.string(), "point.isdiffpos"))
    flux, flux_err = _flux_of_mag(mag, mag_err, sign)
    return _points(
        _mjd_tai_of_jd(_positive(_leaf(table, pa.float64(), "point.jd"))),
        _ztf_band(_leaf(table, pa.int64(), "point.fid")),
        flux,
        flux_err,
        number("diffmaglim"),
    )


def _lsst_points(table: pa.Table) -> pa.Array:
    def number(*names: str) -> pa.Array:
        values = _leaf(table, pa.float64(), *(f"point.{name}" for name in names))
        return _measured(values, sentinel=False)

    return _points(
        number("midpointMjdTai", "midPointTai"),
        _leaf(table, pa.string(), "point.band", "point.filterName"),
        number("psfFlux", "psFlux"),
        number("psfFluxErr", "psFluxErr"),
        pa.nulls(table.num_rows, pa.float64()),
    )


def _points(*columns_of_point: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays(list(columns_of_point), fields=list(HISTORY_POINT))


def _find(table: pa.Table, path: str) -> pa.Array | None:
    """A column, or a field of a struct column, in one piece; None if there is none.

    A table that was read with `candidate.ra` alone may have it as a column of that name.
    """
    names: Sequence[str] = table.column_names
    if path in names:
        return _whole(table[path])
    first, *rest = path.split(".")
    if first not in names:
        return None
    values = _whole(table[first])
    for name in rest:
        if not pa.types.is_struct(values.type) or values.type.get_field_index(name) < 0:
            return None
        values = pc.struct_field(values, name)
    return values


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _leaf(table: pa.Table, kind: pa.DataType, *paths: str) -> pa.Array:
    """The first of some columns that is not null, of a type; null where there is none."""
    found = [values for path in paths if (values := _find(table, path)) is not None]
    if not found:
        return pa.nulls(table.num_rows, kind)
    return pc.coalesce(*(values.cast(kind) for values in found))


def _measured(values: pa.Array, *, sentinel: bool = True) -> pa.Array:
    """Numbers; null for what is not finite, and for ZTF's sentinel."""
    good = pc.is_finite(values)
    if sentinel:
        good = pc.and_(good, pc.not_equal(values, _SENTINEL))
    return pc.if_else(good, values, None)


def _positive(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.and_(pc.is_finite(values), pc.greater_equal(values, 0)), values, None)


def _ztf_band(fid: pa.Array) -> pa.Array:
    known = pc.and_(pc.greater_equal(fid, 1), pc.less_equal(fid, 3))
    return _ZTF_BANDS.take(pc.if_else(known, fid, 0))


def _sign(isdiffpos: pa.Array) -> pa.Array:
    """1 for a detection that is brighter than the template, -1 for a fainter one."""
    up = pc.is_in(isdiffpos, pa.array(["t", "1"]))
    return pc.if_else(pc.is_valid(isdiffpos), pc.if_else(up, 1.0, -1.0), None)


def _mjd_tai_of_jd(jd_utc: pa.Array) -> pa.Array:
    return pc.add(pc.subtract(jd_utc, _MJD_OF_JD_0), _TAI_MINUS_UTC_DAYS)


def _flux_of_mag(mag: pa.Array, mag_err: pa.Array, sign: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Signed flux in nJy, and its error to first order."""
    amount = pc.power(10.0, pc.divide(pc.subtract(NJY_ZEROPOINT_MAG, mag), 2.5))
    return pc.multiply(amount, sign), pc.multiply(amount, pc.divide(mag_err, _MAG_TO_SIGMA))


def _mag_of_flux(flux: pa.Array, flux_err: pa.Array) -> tuple[pa.Array, pa.Array]:
    """AB magnitude of a flux's amount, and its error to first order; null for no flux."""
    amount = pc.abs(flux)
    amount = pc.if_else(pc.greater(amount, 0.0), amount, None)
    mag = pc.subtract(NJY_ZEROPOINT_MAG, pc.multiply(2.5, pc.log10(amount)))
    return mag, pc.multiply(pc.divide(flux_err, amount), _MAG_TO_SIGMA)
