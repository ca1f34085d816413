"""What features describe: those of an aspect hang together, and are one reason. Pure."""

from collections.abc import Mapping
from typing import Final

Aspects = Mapping[str, tuple[str, ...]]
"""Names of features by the name of what they describe; every feature is there once."""

ZTF_ASPECTS: Final[Aspects] = {
    "source at the position": ("distnr", "chinr", "sharpnr", "distpsnr1", "sgscore1"),
    "brightness of that source": ("magnr", "srmag1", "mag_over_ps"),
    "brightness": ("over_image_limit",),
    "direction": ("sign", "negative_share"),
    "detections": ("detections", "detections_other", "detected_share", "days_since_first"),
    "change": ("range", "over_brightest", "chi2", "change", "trend"),
    "colour": ("g_r",),
    "appearance": ("over_limit",),
    "motion": ("scatter",),
}

LSST_ASPECTS: Final[Aspects] = {
    "brightness": ("snr", "flux"),
    "source at the position": ("template", "contrast"),
    "size": ("size",),
    "known object": ("solar_system",),
    "direction": ("negative_share",),
    "detections": ("detections", "detections_other", "days_since_first", "days_since_last"),
    "change": ("change", "change_rate", "rank"),
    "forced fluxes": ("jump", "forced_chi2", "forced_median", "forced_trend"),
    "colour": ("colour",),
    "motion": ("scatter",),
}

CURVE_ASPECTS: Final[Aspects] = {
    "fluxes": (
        *("chi2", "skew", "kurtosis", "stetson_k", "beyond_1"),
        *("above_half", "above_tenth", "median_place", "half_range"),
    ),
    "direction": ("negative_share",),
    "steps": (
        *("eta", "eta_late", "turns", "crossings", "crossings_late"),
        *("flat_share", "largest_step", "largest_gap", "two_levels", "step_skew", "acceleration"),
    ),
    "course": ("trend", "curvature", "cusum", "when_highest", "when_lowest", "late_scatter"),
    "peaks": ("dip_between", "sole_dip", "other_dips"),
}
