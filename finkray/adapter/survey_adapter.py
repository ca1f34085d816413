"""The columns that all surveys share, and the adapter that each survey provides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from finkray.surveys.survey import Survey

Part = Literal["detection", "solar_system", "neighbour", "history", "cutouts"]
"""A part of an alert, for which the adapters provide columns."""

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
"""Columns of `finkray.adapter.detections`.

| column | ZTF | LSST |
|---|---|---|
| alert_id | candid | diaSourceId |
| object_id | objectId | diaObjectId; null for a Solar System object |
| ra_deg, dec_deg | ICRS | ICRS |
| mjd_tai | start of the exposure | middle of the exposure |
| band | g, r, i | u, g, r, i, z, y |
| flux_njy, flux_err_njy | of the difference image, from magpsf and isdiffpos | psfFlux |
| mag, mag_err | AB, of the absolute difference flux: magpsf, sigmapsf | from psfFlux |
"""

SOLAR_SYSTEM: Final = pa.schema(
    [
        ("solar_system", pa.bool_()),
        ("name", pa.string()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""Columns of `finkray.adapter.solar_system`: whether the alert is of a known object of the Solar
System, the name of the object, and the distance from its predicted position (ZTF `ssdistnr`, LSST
`ephOffset`)."""

NEIGHBOUR: Final = pa.schema(
    [
        ("star_score", pa.float64()),
        ("separation_arcsec", pa.float64()),
    ]
)
"""Columns of `finkray.adapter.neighbours`: how much the nearest source of Pan-STARRS looks like a
star (ZTF `sgscore1`, from 0, a galaxy, to 1), and its distance (`distpsnr1`). LSST's packets name
no neighbour."""

HISTORY_POINT: Final = pa.struct(
    [
        ("mjd_tai", pa.float64()),
        ("band", pa.string()),
        ("flux_njy", pa.float64()),
        ("flux_err_njy", pa.float64()),
        ("limit_mag", pa.float64()),
    ]
)
"""An earlier observation of the same position; `flux_njy` is null where nothing was detected above
`limit_mag` (only ZTF sends these)."""

CUTOUTS: Final = pa.schema(
    [("science", pa.binary()), ("template", pa.binary()), ("difference", pa.binary())]
)
"""Columns of `finkray.adapter.cutouts`: the three images, as the packets have them."""


@dataclass(frozen=True, slots=True)
class SurveyAdapter:
    """Maps the alerts of a survey to the shared columns.

    Each function takes a table with alerts of any surveys. It returns nulls for alerts of another
    survey, and for columns that this survey does not have.

    Attributes
    ----------
    survey
        the survey
    reads
        for each part of an alert, the packet columns that it is read from, in all schema versions
    detections
        returns the columns of `DETECTION` except `survey`; `alert_id` is null for alerts of another
        survey only
    solar_system
        returns the columns of `SOLAR_SYSTEM`; `solar_system` is never null
    neighbours
        returns the columns of `NEIGHBOUR`
    history_column
        name of the list column of earlier observations
    history_points
        returns a `HISTORY_POINT` for each row of a table whose column `point` has the elements of
        that list
    cutout
        returns one image as bytes, for the name of a column of `CUTOUTS`
    """

    survey: Survey
    reads: Mapping[Part, tuple[str, ...]]
    detections: Callable[[pa.Table], pa.Table]
    solar_system: Callable[[pa.Table], pa.Table]
    neighbours: Callable[[pa.Table], pa.Table]
    history_column: str
    history_points: Callable[[pa.Table], pa.Array]
    cutout: Callable[[pa.Table, str], pa.Array]
