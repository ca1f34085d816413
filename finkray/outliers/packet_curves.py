"""The light curves in packets: features of the curves of an alert's history and detection. Pure.

ZTF's packets hold 30 days of detections: a curve for each of g and r. LSST's hold forced fluxes:
the curve in the band of the detection. Curves with fewer than
`finkray.outliers.curve_features.LEAST_POINTS` points have no features.
"""

from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.outliers import packets_lsst, packets_ztf
from finkray.outliers.arrays import Floats
from finkray.outliers.aspects import CURVE_ASPECTS, Aspects
from finkray.outliers.curve_features import CURVE_FEATURES, curve_features
from finkray.outliers.feature import Feature

ZTF_BANDS: Final = {"g": 1, "r": 2}
LSST_BANDS: Final = ("own",)
"""LSST's six bands have too few alerts each: the curve is that of the detection's own band."""

_ZERO_POINT_MAG: Final = 25.0


@cache
def features_by_band(bands: tuple[str, ...]) -> tuple[Feature, ...]:
    """Return the features of the curves of these bands, one band after the other."""
    return tuple(
        replace(each, name=f"curve.{band}.{each.name}", about=f"{band} curve: {each.about}")
        for band in bands
        for each in CURVE_FEATURES
    )


def aspects_by_band(bands: tuple[str, ...]) -> Aspects:
    """Return the aspects of the curves of these bands, one band after the other."""
    return {
        f"{band} curve: {aspect}": tuple(f"curve.{band}.{name}" for name in names)
        for band in bands
        for aspect, names in CURVE_ASPECTS.items()
    }


def ztf_curves(alerts: pa.Table, packets: packets_ztf.Packets | None = None) -> Floats:
    """Return the features of ZTF's curves: shape (alerts, bands x features), or NaN."""
    packets = packets or packets_ztf.Packets.of(alerts)
    detections, points = packets.detections, packets.points
    with np.errstate(invalid="ignore", over="ignore"):
        return np.concatenate(
            [_ztf_band(detections, points, number) for number in ZTF_BANDS.values()], axis=1
        )


def lsst_curves(alerts: pa.Table, packets: packets_lsst.Packets | None = None) -> Floats:
    """Return the features of LSST's curves: shape (alerts, features), or NaN."""
    packets = packets or packets_lsst.Packets.of(alerts)
    detections, points = packets.detections, packets.forced
    before = points.same_band
    here = np.flatnonzero(np.isfinite(detections.mjd_tai) & np.isfinite(detections.flux_njy))
    return _features(
        alerts.num_rows,
        np.concatenate([points.groups.alert[before], here]),
        np.concatenate([-points.days_before[before], np.zeros(len(here))]),
        np.concatenate([points.flux_njy[before], detections.flux_njy[here]]),
        np.concatenate([points.flux_err_njy[before], detections.flux_err_njy[here]]),
    )


def _ztf_band(
    detections: packets_ztf.Detections, points: packets_ztf.Points, number: int
) -> Floats:
    # Rows are picked by number: numpy takes four times as long to pick them by a mask.
    before = np.flatnonzero((points.fid == number) & np.isfinite(points.mag))
    here = np.flatnonzero((detections.fid == number) & np.isfinite(detections.mag))
    alert = np.concatenate([points.groups.alert[before], here])
    mag, sigma, sign = (
        np.concatenate([old[before], new[here]])
        for old, new in (
            (points.mag, detections.mag),
            (points.mag_err, detections.mag_err),
            (points.sign, detections.sign),
        )
    )
    flux = sign * 10.0 ** (-0.4 * (mag - _ZERO_POINT_MAG))
    # Days before the detection: differences of Julian dates keep their digits.
    days = np.concatenate(
        [points.jd[before] - detections.jd[points.groups.alert[before]], np.zeros(len(here))]
    )
    return _features(len(detections.jd), alert, days, flux, np.abs(flux) * sigma / 1.0857)


def _features(alerts: int, alert: np.ndarray, days: Floats, flux: Floats, error: Floats) -> Floats:
    # Histories are in the order of time, and the detections come last.
    order = np.argsort(alert, kind="stable")
    offsets = np.searchsorted(alert[order], np.arange(alerts + 1))
    return curve_features(days[order], flux[order], error[order], offsets)
