"""What features of LSST's alerts are made of: the detections and their histories. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.outliers.arrays import (
    Floats,
    Groups,
    columns_of,
    first_floats,
    flat,
    floats,
    list_counts,
    texts,
    wrapped_degrees,
)

FLAGS: Final = (
    *("bad", "cr", "crCenter", "edge", "interpolated", "interpolatedCenter", "nodata"),
    *("nodataCenter", "offimage", "saturated", "saturatedCenter", "streak", "streakCenter"),
    *("suspect", "suspectCenter"),
)
FLUX: Final = ("psfFlux", "psFlux")
ERROR: Final = ("psfFluxErr", "psFluxErr")
_TIME: Final = ("midpointMjdTai", "midPointTai")
_DEC: Final = ("dec", "decl")
BAND: Final = ("band", "filterName")
SOURCE: Final = (
    *("ra", *_DEC, *_TIME, *BAND, *FLUX, *ERROR),
    *("templateFlux", "templateFluxErr", "ixx", "iyy", "ixxPSF", "iyyPSF"),
    *("reliability", "isDipole", "dipoleFluxDiff", "dipoleMeanFlux", "trailLength", "glint_trail"),
    *("psfChi2", "psfNdata", "apFlux", "apFluxErr", *(f"pixelFlags_{flag}" for flag in FLAGS)),
)
_PREVIOUS: Final = ("ra", *_DEC, *_TIME, *BAND, *FLUX, *ERROR)
_FORCED: Final = (*_TIME, *BAND, *FLUX, *ERROR)

COLUMNS: Final = (
    *(f"diaSource.{name}" for name in SOURCE),
    *(f"prvDiaSources.{name}" for name in _PREVIOUS),
    *(f"prvDiaForcedSources.{name}" for name in _FORCED),
    *(name for name in adapter.columns("solar_system") if not name.startswith("candidate.")),
)
"""The packet columns that are read, of all schema versions: by `Packets`, and for features and
image quality."""

_SAME_EXPOSURE_D: Final = 1e-4
"""Points within 9 s of the detection are of its own exposure; a visit takes 30 s."""
_ARCSEC: Final = 3600.0


@dataclass(frozen=True)
class Detections:
    """The detections: a value for each alert."""

    mjd_tai: Floats
    band: np.ndarray
    ra_deg: Floats
    dec_deg: Floats
    flux_njy: Floats
    flux_err_njy: Floats

    @classmethod
    def of(cls, read: Mapping[str, pa.Array]) -> "Detections":
        """Read the detections from columns of `COLUMNS`."""
        return cls(
            first_floats(read, *paths_of("diaSource", _TIME)),
            _bands(pc.coalesce(*(texts(read[path]) for path in paths_of("diaSource", BAND)))),
            number_of(read, "ra"),
            first_floats(read, *paths_of("diaSource", _DEC)),
            first_floats(read, *paths_of("diaSource", FLUX)),
            first_floats(read, *paths_of("diaSource", ERROR)),
        )


@dataclass(frozen=True)
class Points:
    """Earlier points of one list of the packets, in the order of time."""

    groups: Groups
    days_before: Floats  # how long before the detection: positive
    same_band: np.ndarray
    east_arcsec: Floats
    north_arcsec: Floats
    flux_njy: Floats
    flux_err_njy: Floats

    @classmethod
    def of(cls, detections: Detections, read: Mapping[str, pa.Array], record: str) -> "Points":
        """Read one list of the packets from columns of `COLUMNS`."""
        times = [read[path] for path in paths_of(record, _TIME)]
        counts = np.max([list_counts(values) for values in times], axis=0)
        alert = np.repeat(np.arange(len(counts)), counts)

        def number(names: tuple[str, ...]) -> Floats:
            arrays = {
                path: flat(read[path], counts) for path in paths_of(record, names) if path in read
            }
            return first_floats(arrays, *arrays) if arrays else np.full(len(alert), np.nan)

        bands = [texts(flat(read[path], counts)) for path in paths_of(record, BAND)]
        days = detections.mjd_tai[alert] - number(_TIME)
        flux, error = number(FLUX), number(ERROR)
        ra, dec = number(("ra",)), number(_DEC)
        # Sorted by time; the order of what is left of an alert does not depend on the packet's.
        order = np.lexsort((flux, -days, alert))
        kept = order[((days > _SAME_EXPOSURE_D) & np.isfinite(flux))[order]]
        east = wrapped_degrees(ra - detections.ra_deg[alert]) * np.cos(
            np.radians(detections.dec_deg[alert])
        )
        values = (east * _ARCSEC, (dec - detections.dec_deg[alert]) * _ARCSEC, flux, error)
        same = _bands(pc.coalesce(*bands)) == detections.band[alert]
        groups = Groups(alert[kept], len(counts))
        return cls(groups, days[kept], same[kept], *(column[kept] for column in values))


@dataclass(frozen=True)
class Packets:
    """What is read of alerts: columns by name, the detections, and the forced fluxes before."""

    read: Mapping[str, pa.Array]
    detections: Detections
    forced: Points

    @classmethod
    def of(cls, alerts: pa.Table) -> "Packets":
        """Read alerts, nested or with columns named as in `COLUMNS`."""
        read = columns_of(alerts, COLUMNS)
        detections = Detections.of(read)
        return cls(read, detections, Points.of(detections, read, "prvDiaForcedSources"))


def number_of(read: Mapping[str, pa.Array], name: str) -> Floats:
    """Return a number of each source; NaN where it is missing."""
    return floats(read[f"diaSource.{name}"])


def _bands(values: pa.Array) -> np.ndarray:
    """Return a number for each band; -1 where it is not known."""
    index = pc.index_in(values, pa.array(["u", "g", "r", "i", "z", "y"]))
    numbers: np.ndarray = pc.fill_null(index, -1).to_numpy(zero_copy_only=False)
    return numbers


def paths_of(record: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a record that have these names."""
    return tuple(f"{record}.{name}" for name in names)
