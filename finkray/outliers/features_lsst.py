"""The features of LSST's alerts, from the packet alone, and the numbers about image quality. Pure.

All are made of fluxes: differences are negative as often as positive, and have no magnitudes then.
No feature divides by a mean that may be zero; what is divided by is the root of a sum of squares
with an error in it. None tells the date, the place on the sky or the pixel. A missing value
is NaN: an alert of a Solar System object has no history.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.outliers.arrays import Floats, columns_of, feature_matrix, first_floats
from finkray.outliers.feature import Feature
from finkray.outliers.packets_lsst import (
    BAND,
    COLUMNS,
    ERROR,
    FLAGS,
    FLUX,
    SOURCE,
    Detections,
    Packets,
    Points,
    number_of,
    paths_of,
)

FEATURES: Final = (
    Feature("snr", "sigma", "flux of the difference", "asinh"),
    Feature("flux", "100 nJy", "flux of the difference", "asinh"),
    Feature("template", "100 nJy", "flux of the template", "asinh"),
    Feature("contrast", "", "change divided by the flux of the template", "asinh5"),
    Feature("size", "", "size of the source divided by that of a point", "log10"),
    Feature("solar_system", "", "a known Solar System object (1 yes, 0 no)"),
    Feature("detections", "", "earlier detections in the band", "log1p"),
    Feature("detections_other", "", "earlier detections in other bands", "log1p"),
    Feature("negative_share", "", "share of detections that are fainter than the template"),
    Feature("days_since_first", "d", "time since the first detection", "log1p"),
    Feature("days_since_last", "d", "time since the last detection", "log1p"),
    Feature("change", "sigma", "change since the last detection in the band", "asinh"),
    Feature("change_rate", "sigma/d", "change a day since the last detection in the band", "asinh"),
    Feature("rank", "scatters", "flux above the median of the detections in the band", "asinh"),
    Feature("jump", "scatters", "flux above the median of the forced fluxes in the band", "asinh"),
    Feature("forced_chi2", "", "reduced chi2 of constant forced flux in the band", "log10"),
    Feature("forced_median", "sigma", "median of the forced fluxes in the band", "asinh"),
    Feature("forced_trend", "scatters", "newer less older forced fluxes in the band", "asinh"),
    Feature("colour", "", "contrast of the fluxes of this and of the other band within 1.5 days"),
    Feature("scatter", "arcsec", "scatter of the position over the detections", "log10"),
)  # fmt: skip
"""The features, in the order of the columns."""

QUALITY: Final[Mapping[str, float]] = {
    "reliability": -1.0,
    "dipole": 1.0,
    "dipole_contrast": 1.0,
    "trail_length": 1.0,
    "glint_trail": 1.0,
    "pixel_flags": 1.0,
    "psf_chi2": 1.0,
    "aperture_excess": 1.0,
}
"""Numbers about the image, which are never features: 1 where a high value is bad, -1 where a low
one is. `pixel_flags` counts the flags of `packets_lsst.FLAGS` that are set."""

_FLUX_UNIT_NJY: Final = 100.0
"""The arcsinh of a flux in this unit is near its logarithm where a visit detects anything."""


def features(alerts: pa.Table, packets: Packets | None = None) -> Floats:
    """Return the features of LSST's alerts.

    Parameters
    ----------
    alerts
        nested alerts as the archive has them, or with columns named as in
        `packets_lsst.COLUMNS`; those that are not there count as missing
    packets
        what was read of them, if it was read already

    Returns
    -------
    ndarray
        float64 of shape (alerts, 20), in the order of `FEATURES`; NaN where a value is missing
    """
    packets = packets or Packets.of(alerts)
    read, detections = packets.read, packets.detections
    known = adapter.solar_system(pa.table(dict(read)))["solar_system"]
    solar_system = pc.cast(known, pa.float64()).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        columns = [*_detection(detections, read), solar_system, *_sources(packets)]
    return feature_matrix(
        columns, np.isfinite(detections.mjd_tai) | np.isfinite(detections.flux_njy)
    )


def quality(alerts: pa.Table) -> Floats:
    """Return numbers about the image of each alert: shape (alerts, 8), ordered as `QUALITY`."""
    read = columns_of(alerts, [name for name in COLUMNS if name.startswith("diaSource.")])
    number = {name: number_of(read, name) for name in SOURCE if name not in BAND}
    flags = np.stack([number[f"pixelFlags_{flag}"] for flag in FLAGS], axis=1)
    unknown = np.all(np.isnan(flags), axis=1)
    flux = first_floats(read, *paths_of("diaSource", FLUX))
    error = first_floats(read, *paths_of("diaSource", ERROR))
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.abs(number["apFlux"] - flux) / np.hypot(number["apFluxErr"], error)
        dipole = np.abs(number["dipoleFluxDiff"]) / (np.abs(number["dipoleMeanFlux"]) + error)
        columns = [
            number["reliability"],
            number["isDipole"],
            dipole,
            number["trailLength"],
            number["glint_trail"],
            np.where(unknown, np.nan, np.nansum(flags, axis=1)),
            number["psfChi2"] / number["psfNdata"],
            excess,
        ]
    out = np.stack(columns, axis=1)
    return np.where(np.isfinite(out), out, np.nan)


def _detection(detections: Detections, read: Mapping[str, pa.Array]) -> list[Floats]:
    template, template_error = number_of(read, "templateFlux"), number_of(read, "templateFluxErr")
    noise = np.hypot(template, np.hypot(np.nan_to_num(template_error), detections.flux_err_njy))
    size = (number_of(read, "ixx") + number_of(read, "iyy")) / (
        number_of(read, "ixxPSF") + number_of(read, "iyyPSF")
    )
    return [
        np.arcsinh(detections.flux_njy / detections.flux_err_njy),
        np.arcsinh(detections.flux_njy / _FLUX_UNIT_NJY),
        np.arcsinh(template / _FLUX_UNIT_NJY),
        np.arcsinh(5.0 * detections.flux_njy / noise),
        np.log10(np.clip(size, 1e-2, 1e3)),
    ]


def _sources(packets: Packets) -> list[Floats]:
    detections = packets.detections
    points = Points.of(detections, packets.read, "prvDiaSources")
    groups = points.groups
    every = np.ones(len(points.days_before), bool)
    same = points.same_band
    detection_counts = groups.count(every)
    negative = groups.sum((points.flux_njy < 0).astype(float), every) + (detections.flux_njy < 0)
    first, last = groups.first(points.days_before, every), groups.last(points.days_before, every)
    last_flux, last_error = (
        groups.last(points.flux_njy, same),
        groups.last(points.flux_err_njy, same),
    )
    sigma = (detections.flux_njy - last_flux) / np.hypot(detections.flux_err_njy, last_error)
    return [
        np.log1p(groups.count(same)),
        np.log1p(groups.count(~same)),
        # Of a single detection it would be its direction once more.
        np.where(detection_counts > 0, negative / (detection_counts + 1.0), np.nan),
        np.log1p(np.where(detection_counts > 0, first, 0.0)),
        np.log1p(last),
        np.arcsinh(sigma),
        np.arcsinh(sigma / np.maximum(groups.last(points.days_before, same), 0.5)),
        _jump(detections, points),
        *_forced(detections, packets.forced),
        _colour(detections, points),
        _scatter(points),
    ]


def _forced(detections: Detections, points: Points) -> list[Floats]:
    groups, same = points.groups, points.same_band & (points.flux_err_njy > 0)
    weight = 1.0 / points.flux_err_njy**2
    count, total = groups.count(same), groups.sum(weight, same)
    median = groups.median(points.flux_njy, same)
    delta = points.flux_njy - median[groups.alert]  # of these, sums of squares lose nothing
    mean = groups.sum(weight * delta, same) / total
    chi2 = groups.sum(weight * (delta - mean[groups.alert]) ** 2, same) / (count - 1.0)
    middle = groups.median(points.days_before, same)[groups.alert]
    newer = groups.median(points.flux_njy, same & (points.days_before < middle))
    older = groups.median(points.flux_njy, same & (points.days_before > middle))
    scatter = _spread(points, same)
    return [
        _jump(detections, points),
        np.where(count >= 2, np.log10(np.maximum(chi2, 1e-4)), np.nan),
        np.arcsinh(median / groups.median(points.flux_err_njy, same)),
        np.where(count >= 4, np.arcsinh((newer - older) / scatter), np.nan),
    ]


def _jump(detections: Detections, points: Points) -> Floats:
    """Return the flux less the median in the band, over scatter and error together."""
    same = points.same_band
    median = points.groups.median(points.flux_njy, same)
    noise = np.hypot(_spread(points, same), detections.flux_err_njy)
    enough = points.groups.count(same) >= 2
    return np.where(enough, np.arcsinh((detections.flux_njy - median) / noise), np.nan)


def _spread(points: Points, mask: np.ndarray) -> Floats:
    """Return the robust scatter of fluxes about their median, with the error as the least."""
    groups = points.groups
    median = groups.median(points.flux_njy, mask)
    deviation = 1.4826 * groups.median(np.abs(points.flux_njy - median[groups.alert]), mask)
    return np.fmax(
        deviation, groups.median(points.flux_err_njy, mask & np.isfinite(points.flux_err_njy))
    )


def _colour(detections: Detections, points: Points) -> Floats:
    """Return the contrast to the latest flux of another band, from -1 to 1 in amount.

    Bands are not told apart: LSST's six have too few pairs in a packet.
    """
    other = ~points.same_band & (points.days_before <= 1.5)
    flux = points.groups.last(points.flux_njy, other)
    error = points.groups.last(points.flux_err_njy, other)
    return (detections.flux_njy - flux) / np.sqrt(
        detections.flux_njy**2 + flux**2 + detections.flux_err_njy**2 + error**2
    )


def _scatter(points: Points) -> Floats:
    """Return log10 of the scatter about the mean position, in arcsec, of at least two points."""
    groups = points.groups
    placed = np.isfinite(points.east_arcsec) & np.isfinite(points.north_arcsec)
    count = groups.count(placed) + 1.0
    east, north = (
        np.where(placed, values, 0.0) for values in (points.east_arcsec, points.north_arcsec)
    )
    square = groups.sum(east**2 + north**2, placed) / count
    mean = (groups.sum(east, placed) / count) ** 2 + (groups.sum(north, placed) / count) ** 2
    return np.where(count >= 2, np.log10(np.sqrt(np.maximum(square - mean, 0.0)) + 0.01), np.nan)
