"""The features of ZTF's alerts, from the packet alone, and the numbers about image quality. Pure.

None tells the date, the place on the sky or the pixel. A missing value is NaN. Every feature of an
alert depends on that alert alone, so shuffling and slicing a table changes nothing.

None follows the conditions of a night more than the source: with the density of the field, the
colours of its stars (dust), the depth of the images and the days between visits as features, an
ordinary alert of another night is strange. Brightness is therefore counted from the limit of the
image, and numbers that count visits have a value only where no star is: a variable star is
detected as often as its field is visited, anything else as long as it lasts. How many of its alerts
are of asteroids is the field's ecliptic latitude: whether a known body is there is a context
(`finkray.outliers.context`), not a feature.

| group | what it is made of |
|---|---|
| where | the nearest sources of the reference image and of Pan-STARRS |
| now | the detection itself |
| 30 days | the packet's history up to the detection, in the band of the detection unless said |
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.outliers.arrays import Floats, columns_of, feature_matrix, wrapped_degrees
from finkray.outliers.feature import Feature
from finkray.outliers.packets_ztf import (
    CANDIDATE,
    COLUMNS,
    Detections,
    Packets,
    Points,
    cos_dec,
    number_of,
)

FEATURES: Final = (
    Feature("distnr", "pixel", "distance to the nearest source of the reference image (up to 5)"),
    Feature("magnr", "mag", "magnitude of the nearest source of the reference image"),
    Feature("chinr", "", "misfit of the reference source to a point (chinr)"),
    Feature("sharpnr", "", "sharpness of the reference source (sharpnr)"),
    Feature("distpsnr1", "arcsec", "distance to the nearest Pan-STARRS source (up to 5)"),
    Feature("sgscore1", "", "star score of the nearest Pan-STARRS source (0 galaxy, 1 star)"),
    Feature("srmag1", "mag", "r magnitude of the nearest Pan-STARRS source"),
    Feature("over_image_limit", "mag", "brightness above the limit of the image"),
    Feature("sign", "", "direction of the change (1 brighter, -1 fainter)"),
    Feature("mag_over_ps", "mag", "magnitude of the difference less that of the Pan-STARRS source"),
    Feature("detections", "", "earlier detections in the band, no star there", "log1p"),
    Feature("detections_other", "", "earlier detections in other bands, no star there", "log1p"),
    Feature("detected_share", "", "share of images of the band with a detection, no star there"),
    Feature("days_since_first", "d", "time since the first detection, no star there", "log1p"),
    Feature("negative_share", "", "share of detections that are fainter than the reference"),
    Feature("range", "mag", "range of magnitudes in the band in 30 days"),
    Feature("over_brightest", "mag", "magnitude less the brightest one before in the band"),
    Feature("chi2", "", "reduced chi2 of constant brightness in the band", "log10"),
    Feature("change", "mag", "change since the last detection in the band (brighter: < 0)"),
    Feature("trend", "mag", "change of a line through the last 30 days (brighter: < 0)"),
    Feature("g_r", "mag", "colour g-r of the difference within 1.5 days"),
    Feature("over_limit", "mag", "first detection above the last limit"),
    Feature("scatter", "arcsec", "scatter of the position over the detections", "log10"),
)  # fmt: skip
"""The features, in the order of the columns."""

QUALITY: Final[Mapping[str, float]] = {
    "seeratio": 1.0,
    "elong": 1.0,
    "aimagerat": 1.0,
    "bimagerat": 1.0,
    "nneg": 1.0,
    "nbad": 1.0,
    "sumrat": -1.0,
    "classtar": -1.0,
    "chipsf": 1.0,
    "magdiff": 1.0,
    "rb": -1.0,
    "log_snr": -1.0,
    "over_diffmaglim": -1.0,
}
"""Numbers about the image, which are never features: 1 where a high value is bad, -1 where a low
one is. `magdiff` is the amount of the packet's value."""

_LEAST_ERROR_MAG: Final = 0.02
_FAR: Final = 5.0
"""Distances are cut here, and sources farther away say nothing: how far the next one is follows the
density of the field. With 10, of transients injected into 2018-11-29 75 % come into its top 20 in
place of 81 %."""
_SAME_ARCSEC: Final = 1.5
"""A source of Pan-STARRS within this distance is the detected one (ZTF's own radius)."""
_STAR: Final = 0.5
"""Star score from which on a source counts as a star; where it is not known (0.5), most are."""
_LEAST_INTERVAL_D: Final = 0.02
"""Two exposures within half an hour are as good as one. Changes are in magnitudes, not in
magnitudes a day: the days between visits are the survey's."""
_ARCSEC: Final = 3600.0


def features(alerts: pa.Table, packets: Packets | None = None) -> Floats:
    """Return the features of ZTF's alerts.

    Parameters
    ----------
    alerts
        nested alerts as the archive has them, or with columns named as in
        `packets_ztf.COLUMNS`; those that are not there count as missing
    packets
        what was read of them, if it was read already

    Returns
    -------
    ndarray
        float64 of shape (alerts, 23), in the order of `FEATURES`; NaN where a value is missing
    """
    packets = packets or Packets.of(alerts)
    read, detections = packets.read, packets.detections
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        columns = [*_where(read), *_detection(detections, read), *_past(packets)]
    return feature_matrix(columns, np.isfinite(detections.jd) | np.isfinite(detections.mag))


def quality(alerts: pa.Table) -> Floats:
    """Return numbers about the image of each alert: shape (alerts, 13), ordered as `QUALITY`."""
    read = columns_of(alerts, [name for name in COLUMNS if name.startswith("candidate.")])
    number = {name: number_of(read, name) for name in CANDIDATE if name != "isdiffpos"}
    with np.errstate(invalid="ignore", divide="ignore"):
        number["magdiff"] = np.abs(number["magdiff"])
        number["log_snr"] = np.log10(1.0857 / number["sigmapsf"])
        number["over_diffmaglim"] = number["diffmaglim"] - number["magpsf"]
    out = np.stack([number[name] for name in QUALITY], axis=1)
    return np.where(np.isfinite(out), out, np.nan)


def _where(read: Mapping[str, pa.Array]) -> list[Floats]:
    score = number_of(read, "sgscore1")
    reference, catalogued = (_distance(number_of(read, name)) for name in ("distnr", "distpsnr1"))
    # Pan-STARRS's score is exactly 0.5 where it is not known, negative where there is none.
    score = np.where((score == 0.5) | (score < 0), np.nan, score)
    return [
        reference,
        *(_near(number_of(read, name), reference) for name in ("magnr", "chinr", "sharpnr")),
        catalogued,
        *(_near(values, catalogued) for values in (score, number_of(read, "srmag1"))),
    ]


def _detection(detections: Detections, read: Mapping[str, pa.Array]) -> list[Floats]:
    over_catalogued = detections.mag - number_of(read, "srmag1")
    return [
        number_of(read, "diffmaglim") - detections.mag,
        detections.sign,
        _near(over_catalogued, _distance(number_of(read, "distpsnr1"))),
    ]


def _is_star(read: Mapping[str, pa.Array]) -> np.ndarray:
    """Return whether the source of Pan-STARRS at the position is a star, or may be one."""
    distance, score = number_of(read, "distpsnr1"), number_of(read, "sgscore1")
    unknown = ~(score >= 0)
    return (distance >= 0) & (distance < _SAME_ARCSEC) & (unknown | (score >= _STAR))


def _past(packets: Packets) -> list[Floats]:
    detections, points = packets.detections, packets.points
    groups, alert = points.groups, points.groups.alert
    is_detection, same_band = np.isfinite(points.mag), points.fid == detections.fid[alert]
    limited = ~is_detection & np.isfinite(points.limit_mag) & same_band
    found, in_band = points.take(is_detection), points.take(is_detection & same_band)
    detection_counts, limit_counts = in_band.groups.count(), groups.count(limited)
    negatives = found.groups.sum((found.sign < 0).astype(float)) + (detections.sign < 0)
    signed = found.groups.count(np.isfinite(found.sign)) + np.isfinite(detections.sign)
    first_jd = found.groups.first(found.jd)
    brightest = in_band.groups.smallest(in_band.mag)
    faintest = in_band.groups.largest(in_band.mag)
    # A first detection is the oldest one in the band: in the history, or this one.
    has_before = detection_counts > 0
    first_in_band = np.where(has_before, in_band.groups.first(in_band.jd), detections.jd)
    first_mag = np.where(has_before, in_band.groups.first(in_band.mag), detections.mag)
    before_first = limited & (points.jd < first_in_band[alert])
    counts = [
        np.log1p(detection_counts),
        np.log1p(found.groups.count() - detection_counts),
        detection_counts / (detection_counts + limit_counts),
        np.log1p(np.where(np.isnan(first_jd), 0.0, detections.jd - first_jd)),
    ]
    return [
        *(np.where(_is_star(packets.read), np.nan, values) for values in counts),
        # Of a single detection it would be its direction once more.
        np.where(signed >= 2, negatives / signed, np.nan),
        np.maximum(faintest, detections.mag) - np.minimum(brightest, detections.mag),
        detections.mag - brightest,
        _chi2(detections, in_band),
        _change(detections, in_band),
        _trend(detections, in_band),
        _colour(detections, found),
        groups.last(points.limit_mag, before_first) - first_mag,
        _scatter(detections, found),
    ]


def _change(detections: Detections, in_band: Points) -> Floats:
    """Return the magnitude less that of the last detection in the band."""
    days = detections.jd[in_band.groups.alert] - in_band.jd
    return detections.mag - in_band.groups.last(in_band.mag, days >= _LEAST_INTERVAL_D)


def _chi2(detections: Detections, in_band: Points) -> Floats:
    """Return log10 of the reduced chi2 about the weighted mean, of at least two points."""
    groups = in_band.groups
    weight, own = _weight(in_band.mag_err), _weight(detections.mag_err)
    # Differences to the newest magnitude: sums of squares of these lose nothing.
    delta = in_band.mag - detections.mag[groups.alert]
    total = groups.sum(weight) + own
    mean = groups.sum(weight * delta) / total
    residual = delta - mean[groups.alert]
    chi2 = groups.sum(weight * residual**2) + own * mean**2
    count = groups.count()
    return np.where(count >= 1, np.log10(np.maximum(chi2 / count, 1e-4)), np.nan)


def _weight(error: Floats) -> Floats:
    known = np.where(error >= 0, error, np.nan)
    return 1.0 / np.fmax(known, _LEAST_ERROR_MAG) ** 2


def _trend(detections: Detections, in_band: Points) -> Floats:
    """Return by how much a line through at least three points changes from first to last."""
    groups = in_band.groups
    days = in_band.jd - detections.jd[groups.alert]
    delta = in_band.mag - detections.mag[groups.alert]
    count = groups.count() + 1.0
    mean_days = groups.sum(days) / count
    mean_delta = groups.sum(delta) / count
    off = days - mean_days[groups.alert]
    spread = groups.sum(off**2) + mean_days**2
    product = groups.sum(off * (delta - mean_delta[groups.alert])) + mean_days * mean_delta
    span = -groups.smallest(days)
    enough = (count >= 3) & (span >= _LEAST_INTERVAL_D)
    return np.where(enough, span * product / spread, np.nan)


def _colour(detections: Detections, found: Points) -> Floats:
    """Return g-r of the detection and the latest one of the other band within 1.5 days."""
    alert = found.groups.alert
    other = (3.0 - detections.fid)[alert]  # g is 1, r is 2
    near = (found.fid == other) & (detections.jd[alert] - found.jd <= 1.5)
    latest = found.groups.last(found.mag, near)
    is_g_or_r = (detections.fid == 1) | (detections.fid == 2)
    return np.where(
        is_g_or_r,
        np.where(detections.fid == 1, detections.mag - latest, latest - detections.mag),
        np.nan,
    )


def _scatter(detections: Detections, found: Points) -> Floats:
    """Return log10 of the scatter about the mean position, in arcsec, of at least two points."""
    placed = found.take(np.isfinite(found.ra_deg) & np.isfinite(found.dec_deg))
    groups, alert = placed.groups, placed.groups.alert
    east = (
        wrapped_degrees(placed.ra_deg - detections.ra_deg[alert])
        * cos_dec(detections.dec_deg)[alert]
        * _ARCSEC
    )
    north = (placed.dec_deg - detections.dec_deg[alert]) * _ARCSEC
    count = groups.count() + 1.0
    square = groups.sum(east**2 + north**2) / count
    mean = (groups.sum(east) / count) ** 2 + (groups.sum(north) / count) ** 2
    scatter = np.sqrt(np.maximum(square - mean, 0.0))
    return np.where(count >= 2, np.log10(scatter + 0.01), np.nan)


def _distance(values: Floats) -> Floats:
    return np.where(values >= 0, np.minimum(values, _FAR), np.nan)


def _near(values: Floats, distance: Floats) -> Floats:
    """Return values that describe a source, where it is near."""
    return np.where(distance < _FAR, values, np.nan)
