"""ZTF's alerts in the shared columns."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from finkray.adapter.columns import (
    first_valid,
    flux_of_mag,
    not_negative,
    numbers,
    points_of,
)
from finkray.adapter.survey_adapter import CUTOUTS, SurveyAdapter
from finkray.surveys.survey import TAI_MINUS_UTC_MS
from finkray.surveys.ztf import ZTF

NEAR_KNOWN_ARCSEC: Final = 5.0
"""A ZTF alert within this distance of the predicted position of a known Solar System object is
taken to be that object; Fink's filters draw the line here too. ZTF itself searches within 30
arcsec."""

_BANDS: Final = pa.array([None, "g", "r", "i"])
_SENTINEL: Final = -999.0
_BRIGHTER: Final = pa.array(["t", "true", "y", "yes", "+", "pos", "positive"])
_FAINTER: Final = pa.array(["f", "false", "n", "no", "-", "neg", "negative"])
"""Words for `isdiffpos`, in lower case."""
_NUMBER: Final = r"^[+-]?[0-9]+(?:\.[0-9]*)?$"
_MJD_OF_JD_0: Final = 2_400_000.5
_TAI_MINUS_UTC_DAYS: Final = TAI_MINUS_UTC_MS / 86_400_000


def _detections(alerts: pa.Table) -> pa.Table:
    mag = _number(alerts, "candidate.magpsf")
    mag_err = _number(alerts, "candidate.sigmapsf")
    sign = sign_of_isdiffpos(first_valid(alerts, pa.string(), "candidate.isdiffpos"))
    flux, flux_err = flux_of_mag(mag, mag_err, sign)
    return pa.table(
        {
            "alert_id": first_valid(alerts, pa.int64(), *ZTF.alert_ids),
            "object_id": first_valid(alerts, pa.string(), *ZTF.object_ids),
            "ra_deg": _number(alerts, "candidate.ra"),
            "dec_deg": _number(alerts, "candidate.dec"),
            "mjd_tai": _mjd_tai(alerts, "candidate.jd"),
            "band": _band(first_valid(alerts, pa.int64(), "candidate.fid")),
            "flux_njy": flux,
            "flux_err_njy": flux_err,
            "mag": mag,
            "mag_err": mag_err,
        }
    )


def _solar_system(alerts: pa.Table) -> pa.Table:
    separation = not_negative(first_valid(alerts, pa.float64(), "candidate.ssdistnr"))
    name = first_valid(alerts, pa.string(), "candidate.ssnamenr")
    name = pc.if_else(pc.is_in(name, pa.array(["null", ""])), None, name)
    is_known = pc.and_(
        pc.fill_null(pc.less_equal(separation, NEAR_KNOWN_ARCSEC), False),  # noqa: FBT003
        pc.is_valid(name),
    )
    return pa.table(
        {
            "solar_system": is_known,
            "name": pc.if_else(is_known, name, None),
            "separation_arcsec": pc.if_else(is_known, separation, None),
        }
    )


def _neighbours(alerts: pa.Table) -> pa.Table:
    separation = not_negative(first_valid(alerts, pa.float64(), "candidate.distpsnr1"))
    score = not_negative(first_valid(alerts, pa.float64(), "candidate.sgscore1"))
    known = pc.and_(pc.is_valid(separation), pc.is_valid(score))
    return pa.table(
        {
            "star_score": pc.if_else(known, score, None),
            "separation_arcsec": pc.if_else(known, separation, None),
        }
    )


def _history_points(table: pa.Table) -> pa.Array:
    sign = sign_of_isdiffpos(first_valid(table, pa.string(), "point.isdiffpos"))
    mag, mag_err = _number(table, "point.magpsf"), _number(table, "point.sigmapsf")
    flux, flux_err = flux_of_mag(mag, mag_err, sign)
    return points_of(
        _mjd_tai(table, "point.jd"),
        _band(first_valid(table, pa.int64(), "point.fid")),
        flux,
        flux_err,
        _number(table, "point.diffmaglim"),
    )


def _cutout(alerts: pa.Table, name: str) -> pa.Array:
    return first_valid(alerts, pa.binary(), f"cutout{name.capitalize()}.stampData")


def _number(table: pa.Table, path: str) -> pa.Array:
    return numbers(table, path, sentinel=_SENTINEL)


def _mjd_tai(table: pa.Table, path: str) -> pa.Array:
    jd_utc = not_negative(first_valid(table, pa.float64(), path))
    return pc.add(pc.subtract(jd_utc, _MJD_OF_JD_0), _TAI_MINUS_UTC_DAYS)


def _band(fid: pa.Array) -> pa.Array:
    known = pc.and_(pc.greater_equal(fid, 1), pc.less_equal(fid, 3))
    return _BANDS.take(pc.if_else(known, fid, 0))


def sign_of_isdiffpos(isdiffpos: pa.Array) -> pa.Array:
    """Return 1 for a detection brighter than the template, -1 for a fainter one, else null.

    ZTF writes `t`, `f`, `1` or `0`; packets that went through another broker or a table have the
    spellings of booleans and numbers. Each spelling is understood once.
    """
    spelled = pc.dictionary_encode(isdiffpos)
    return _sign_of_text(spelled.dictionary).take(spelled.indices)


def _sign_of_text(isdiffpos: pa.Array) -> pa.Array:
    text = pc.utf8_lower(pc.utf8_trim(isdiffpos, " \t\r\n\x00'\""))
    numeric = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
    number = pc.utf8_ltrim(numeric, "+").cast(pa.float64())
    brighter = pc.or_(pc.is_in(text, _BRIGHTER), pc.fill_null(pc.equal(number, 1.0), False))  # noqa: FBT003
    is_faint = pc.or_kleene(pc.equal(number, 0.0), pc.equal(number, -1.0))
    fainter = pc.or_(pc.is_in(text, _FAINTER), pc.fill_null(is_faint, False))  # noqa: FBT003
    return pc.if_else(brighter, 1.0, pc.if_else(fainter, -1.0, pa.scalar(None, pa.float64())))


ZTF_ADAPTER: Final = SurveyAdapter(
    survey=ZTF,
    reads={
        "detection": (
            *ZTF.alert_ids,
            *ZTF.object_ids,
            *(f"candidate.{name}" for name in ("ra", "dec", "jd", "fid")),
            *(f"candidate.{name}" for name in ("magpsf", "sigmapsf", "isdiffpos")),
        ),
        "solar_system": ("candidate.ssdistnr", "candidate.ssnamenr"),
        "neighbour": ("candidate.sgscore1", "candidate.distpsnr1"),
        "history": ("prv_candidates",),
        "cutouts": tuple(f"cutout{name.capitalize()}.stampData" for name in CUTOUTS.names),
    },
    detections=_detections,
    solar_system=_solar_system,
    neighbours=_neighbours,
    history_column="prv_candidates",
    history_points=_history_points,
    cutout=_cutout,
)
