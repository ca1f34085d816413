"""Magnitudes of points: of the difference alone, and apparent ones with the reference added.

With the flux of the reference source `r`, its error, and the signed difference flux `d`:

    f = r + d,    m = 31.4 - 2.5 log10 f,    error = 1.0857 sqrt(d_err² + r_err²) / f

(ZTF Science Data System Explanatory Supplement; Förster et al. 2021, AJ 161, 242). The errors are
added in quadrature, as Fink does; ALeRCE subtracts the reference's from the difference's, which
gives smaller errors and none where the root is of a negative number.
"""

from typing import Final

import polars as pl

from finkray.adapter import NJY_ZEROPOINT_MAG

REFERENCE_ARCSEC: Final = 1.4
"""Up to here the reference source is taken for the object, as by ALeRCE; Fink takes 1.5 arcsec."""

DETECTED_SIGMA: Final = 3.0
"""A flux above this many times its error has a magnitude (Masci et al. 2023, arXiv:2305.16279)."""

STATUSES: Final = {
    "ok": "there is an apparent magnitude",
    "no_flux": "nothing was measured: a limit, or forced photometry that failed",
    "no_reference": "the packet names no reference source, as LSST's never do",
    "reference_far": f"the reference source is more than {REFERENCE_ARCSEC} arcsec away",
    "not_positive": "reference and difference together are not above 0",
}
"""Values of the column `apparent_status`."""

_MAG_PER_E: Final = 1.0857362047581296  # 2.5 / ln 10


def with_magnitudes(points: pl.DataFrame) -> pl.DataFrame:
    """Return points with `mag`, `mag_err` and the four columns `apparent_…` of `POINT`."""
    difference_njy, difference_err_njy = pl.col("flux_njy"), pl.col("flux_err_njy")
    abs_difference_njy = difference_njy.abs()
    reference_njy = 10 ** (0.4 * (NJY_ZEROPOINT_MAG - pl.col("ref_mag")))
    reference_err_njy = reference_njy * pl.col("ref_mag_err") / _MAG_PER_E
    total_njy = reference_njy + difference_njy
    status = (
        pl.when(difference_njy.is_null())
        .then(pl.lit("no_flux"))
        .when(pl.col("ref_mag").is_null() | pl.col("ref_distance_arcsec").is_null())
        .then(pl.lit("no_reference"))
        .when(pl.col("ref_distance_arcsec") > REFERENCE_ARCSEC)
        .then(pl.lit("reference_far"))
        .when(total_njy <= 0)
        .then(pl.lit("not_positive"))
        .otherwise(pl.lit("ok"))
    )
    out = points.with_columns(apparent_status=status)
    # A detection of ZTF without an error still has its magnitude.
    detected = (abs_difference_njy > 0) & (
        abs_difference_njy > DETECTED_SIGMA * difference_err_njy.fill_null(0)
    )
    good = pl.col("apparent_status") == "ok"
    total_err_njy = (difference_err_njy**2 + reference_err_njy**2).sqrt()
    out = out.with_columns(
        mag=pl.when(detected).then(_magnitude(abs_difference_njy)),
        mag_err=pl.when(detected).then(_MAG_PER_E * difference_err_njy / abs_difference_njy),
        apparent_mag=pl.when(good).then(_magnitude(total_njy)),
        apparent_mag_err=pl.when(good).then(_MAG_PER_E * total_err_njy / total_njy),
    )
    counted = (pl.col("kind") == "detection") & (pl.col("apparent_status") != "no_flux")
    group = ["survey", "object_id", "band"]
    mixed_groups = (
        out.filter(counted).group_by(group).agg(apparent_mixed=good.any() & (~good).any())
    )
    mixed_groups = mixed_groups.filter("apparent_mixed")
    out = out.join(mixed_groups, on=group, how="left", nulls_equal=True, maintain_order="left")
    return out.with_columns(pl.col("apparent_mixed").fill_null(False))  # noqa: FBT003


def _magnitude(flux_njy: pl.Expr) -> pl.Expr:
    return NJY_ZEROPOINT_MAG - 2.5 * flux_njy.log10()
