"""What is at the position of an alert: the context in which it is ranked a second time. Pure.

| context | ZTF | LSST |
|---|---|---|
| `asteroid` | a known object of the Solar System | the same |
| `star` | star score above 0.5, within 3 arcsec | a point in the template |
| `galaxy` | star score below 0.5, within 3 arcsec | an extended source in it |
| `unknown` | a source there without a score (or 0.5) | a source of unknown size |
| `nothing` | no source there | no source in the template |

ZTF's packets name the nearest source of Pan-STARRS and its star score (0 a galaxy, 1 a star).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from finkray import adapter
from finkray.outliers.arrays import columns_of, floats

CONTEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "asteroid": ("asteroid",),
    "star": ("star",),
    "galaxy": ("galaxy",),
    "unknown": ("unknown",),
    "nothing": ("nothing",),
    "transient-like": ("galaxy", "unknown", "nothing"),
}
"""What a person may ask for, and the contexts that it is made of."""

_SIZES: Final = ("diaSource.templateFlux", "diaSource.templateFluxErr", "diaSource.extendedness")
COLUMNS: Final = (*adapter.columns("detection", "solar_system", "neighbour"), *_SIZES)
"""The packet columns that `contexts` reads."""

_NEAR_ARCSEC: Final = 3.0
"""Largest separation of a source: that of `actors.classes.HOST_ARCSEC`, for the same reason."""
_STAR: Final = 0.5
_SIGNIFICANT: Final = 5.0


def contexts(alerts: pa.Table) -> np.ndarray:
    """Return the context of each alert: an array of texts."""
    known = adapter.solar_system(alerts)["solar_system"].to_numpy()
    near = adapter.neighbours(alerts)
    is_lsst = adapter.detections(alerts)["survey"].to_numpy() == "lsst"
    score, separation = (floats(near[name].combine_chunks()) for name in near.column_names)
    read = columns_of(alerts, _SIZES)
    flux, error, extended = (floats(read[name]) for name in _SIZES)
    with np.errstate(invalid="ignore", divide="ignore"):
        there = np.where(is_lsst, flux / error >= _SIGNIFICANT, separation <= _NEAR_ARCSEC)
        like_star = np.where(is_lsst, extended < _STAR, score > _STAR)
        like_galaxy = np.where(is_lsst, extended >= _STAR, score < _STAR)
    return np.select(
        [known.astype(bool), there & like_star, there & like_galaxy, there],
        ["asteroid", "star", "galaxy", "unknown"],
        "nothing",
    )
