"""LSST's alerts in the shared columns."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray.adapter.columns import find, first_valid, mag_of_flux, numbers, points_of
from finkray.adapter.survey_adapter import CUTOUTS, NEIGHBOUR, SurveyAdapter
from finkray.surveys.lsst import LSST

_TIMES: Final = ("midpointMjdTai", "midPointTai")
_BANDS: Final = ("band", "filterName")
_FLUXES: Final = ("psfFlux", "psFlux")
_FLUX_ERRORS: Final = ("psfFluxErr", "psFluxErr")
"""Names of one field in the course of the schema's versions, the newest first."""


def _detections(alerts: pa.Table) -> pa.Table:
    flux = numbers(alerts, *_in("diaSource", *_FLUXES))
    flux_err = numbers(alerts, *_in("diaSource", *_FLUX_ERRORS))
    mag, mag_err = mag_of_flux(flux, flux_err)
    object_id = _not_zero(first_valid(alerts, pa.int64(), "diaSource.diaObjectId"))
    return pa.table(
        {
            "alert_id": first_valid(alerts, pa.int64(), "diaSource.diaSourceId"),
            "object_id": object_id.cast(pa.string()),
            "ra_deg": numbers(alerts, "diaSource.ra"),
            "dec_deg": numbers(alerts, *_in("diaSource", "dec", "decl")),
            "mjd_tai": numbers(alerts, *_in("diaSource", *_TIMES)),
            "band": first_valid(alerts, pa.string(), *_in("diaSource", *_BANDS)),
            "flux_njy": flux,
            "flux_err_njy": flux_err,
            "mag": mag,
            "mag_err": mag_err,
        }
    )


def _solar_system(alerts: pa.Table) -> pa.Table:
    # diaSource may have 0 where ssSource names the object: 0 is no id, so it does not count there.
    in_source = _not_zero(first_valid(alerts, pa.int64(), "diaSource.ssObjectId"))
    in_match = _not_zero(first_valid(alerts, pa.int64(), "ssSource.ssObjectId"))
    is_known = pc.is_valid(pc.coalesce(in_source, in_match))
    designation = first_valid(alerts, pa.string(), "ssSource.designation")
    offset = first_valid(alerts, pa.float64(), "ssSource.ephOffset")
    return pa.table(
        {
            "solar_system": is_known,
            "name": pc.if_else(is_known, designation, None),
            "separation_arcsec": pc.if_else(is_known, offset, None),
        }
    )


def _neighbours(alerts: pa.Table) -> pa.Table:
    """Return nulls: LSST's packets name no neighbour."""
    return pa.table({field.name: pa.nulls(alerts.num_rows, field.type) for field in NEIGHBOUR})


def _history_points(table: pa.Table) -> pa.Array:
    return points_of(
        numbers(table, *_in("point", *_TIMES)),
        first_valid(table, pa.string(), *_in("point", *_BANDS)),
        numbers(table, *_in("point", *_FLUXES)),
        numbers(table, *_in("point", *_FLUX_ERRORS)),
        pa.nulls(table.num_rows, pa.float64()),
    )


def _cutout(alerts: pa.Table, name: str) -> pa.Array:
    values = find(alerts, f"cutout{name.capitalize()}")
    if values is None or pa.types.is_struct(values.type):  # a struct is ZTF's
        return pa.nulls(alerts.num_rows, pa.binary())
    return values.cast(pa.binary())


def _not_zero(ids: pa.Array) -> pa.Array:
    """Return ids; null for 0, which LSST writes where there is none."""
    return pc.if_else(pc.equal(ids, 0), None, ids)


def _in(record: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{record}.{name}" for name in names)


LSST_ADAPTER: Final = SurveyAdapter(
    survey=LSST,
    reads={
        "detection": _in(
            "diaSource",
            *("diaSourceId", "diaObjectId", "ra", "dec", "decl"),
            *_TIMES,
            *_BANDS,
            *_FLUXES,
            *_FLUX_ERRORS,
        ),
        "solar_system": (
            "diaSource.ssObjectId",
            *_in("ssSource", "ssObjectId", "designation", "ephOffset"),
        ),
        "neighbour": (),
        "history": ("prvDiaSources",),
        "cutouts": tuple(f"cutout{name.capitalize()}" for name in CUTOUTS.names),
    },
    detections=_detections,
    solar_system=_solar_system,
    neighbours=_neighbours,
    history_column="prvDiaSources",
    history_points=_history_points,
    cutout=_cutout,
)
