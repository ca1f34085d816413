"""Watch lists: filters that are a table of objects or positions, or an area of the sky.

    objectId              ra,dec,radius_arcsec           5/16-18 22
    ZTF18acgbkpo          310.51,-22.81,2                6/76
    ZTF20abfcszi          83.82,-5.39,30

The first two are `.csv` files, the last a `.moc` file with a MOC in its text form. Another table is
another version of the filter.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import FilterError

OBJECT_NAMES: Final = ("objectId", "object_id", "diaObjectId")
POSITION_NAMES: Final = ("ra", "dec", "radius_arcsec")

_ROUNDED: Final = re.compile(r"[0-9.,]+[eE]\+?[0-9]+|[0-9]+[.,][0-9]*")

MAX_RADIUS_ARCSEC: Final = 3600.0
"""Larger areas are a MOC's business: each alert is compared with all positions within the largest
radius of the list."""


def arguments_of(file_name: str, text: str) -> tuple[str, Mapping[str, str]]:
    """Return what a watch list is, `objects`, `positions` or `area`, and the columns it reads.

    Raises
    ------
    FilterError
        if it is no watch list: the message names the line
    """
    if file_name.endswith(".moc"):
        _moc(file_name, text)
        return "area", {"ra": "ra", "dec": "dec"}
    try:
        return _table_arguments(file_name, text)
    except csv.Error as error:
        raise FilterError(f"{file_name} is no CSV: {error}") from error


def _table_arguments(file_name: str, text: str) -> tuple[str, Mapping[str, str]]:
    header = _rows(text).fieldnames or ()
    if any(name in header for name in OBJECT_NAMES):
        objects = _objects(text)
        if not objects:
            raise FilterError(f"{file_name} names no object")
        if rounded := sorted(filter(_ROUNDED.fullmatch, objects)):
            raise FilterError(
                f"{file_name}: {rounded[0]} is no id but a number that a spreadsheet has rounded: "
                "export the column as text"
            )
        # Ids of LSST are numbers, those of ZTF are not.
        numbers = [each for each in objects if each.isdigit()]
        if others := len(numbers) and len(objects) - len(numbers):
            raise FilterError(
                f"{file_name} has numbers, which are ids of LSST, and {others} other ids: write a "
                "list for each survey"
            )
        column = "diaObjectId" if numbers else "objectId"
        return "objects", {"object_id": column}
    if all(name in header for name in POSITION_NAMES):
        _positions(file_name, text)
        return "positions", {"ra": "ra", "dec": "dec"}
    raise FilterError(
        f"{file_name}: expected a first line with {' or '.join(OBJECT_NAMES[:2])}, or with "
        f"{', '.join(POSITION_NAMES)}"
    )


def judge_of_list(language: str, name: str, text: str) -> Callable[[pa.Table], pa.Array]:
    """Return a function that says which alerts are on a watch list; null without a position."""
    if language == "objects":
        wanted = pa.array(sorted(_objects(text)))
        return lambda alerts: pc.is_in(alerts["object_id"].cast(pa.string()), value_set=wanted)
    inside = _inside_area(name, text) if language == "area" else _near_positions(name, text)

    def judge(alerts: pa.Table) -> pa.Array:
        ra, dec = (alerts[each].to_numpy().astype(float) for each in ("ra", "dec"))
        known = np.isfinite(ra) & np.isfinite(dec)
        passed = np.zeros(len(ra), np.bool_)
        passed[known] = inside(ra[known], dec[known])
        return pa.array(passed, mask=~known)

    return judge


def _rows(text: str) -> "csv.DictReader[str]":
    """Return the rows of a table; a quote that is not closed is an error, and a BOM none."""
    return csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)


def _objects(text: str) -> set[str]:
    reader = _rows(text)
    column = next(name for name in OBJECT_NAMES if name in (reader.fieldnames or ()))
    return {value.strip() for row in reader if (value := row[column] or "").strip()}


def _positions(file_name: str, text: str) -> np.ndarray:
    rows = []
    for line, row in enumerate(_rows(text), start=2):
        try:
            ra, dec, radius = (float(row[name] or "") for name in POSITION_NAMES)
        except ValueError:
            raise FilterError(f"{file_name}, line {line}: expected three numbers") from None
        if not (0 <= ra <= 360 and -90 <= dec <= 90 and 0 < radius <= MAX_RADIUS_ARCSEC):
            raise FilterError(
                f"{file_name}, line {line}: expected ra from 0 to 360, dec from -90 to 90, both in "
                f"degrees, and a radius up to {MAX_RADIUS_ARCSEC:g} arcsec"
            )
        rows.append((ra, dec, radius))
    if not rows:
        raise FilterError(f"{file_name} has no position")
    return np.array(rows)


def _near_positions(name: str, text: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    from scipy.spatial import cKDTree

    positions = _positions(name, text)
    chords = 2 * np.sin(np.radians(positions[:, 2] / 3600) / 2)
    vectors = _vectors(positions[:, 0], positions[:, 1])
    tree = cKDTree(vectors)

    def near(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        alerts = _vectors(ra, dec)
        found = tree.query_ball_point(alerts, chords.max() * (1 + 1e-12))
        return np.array(
            [
                any(math.dist(alert, vectors[each]) <= chords[each] for each in candidates)
                for alert, candidates in zip(alerts, found, strict=True)
            ],
            np.bool_,
        )

    return near


def _inside_area(name: str, text: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    import astropy.units as u

    area = _moc(name, text)

    def inside(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        return np.asarray(area.contains_lonlat(ra * u.deg, dec * u.deg))

    return inside


def _moc(file_name: str, text: str) -> Any:
    from mocpy import MOC

    try:
        area = MOC.from_string(text)
    except Exception as error:  # of classes that mocpy does not document
        raise FilterError(f"{file_name} is no MOC in its text form: {error}") from error
    if area.empty():
        raise FilterError(f"{file_name} is an empty area")
    return area


def _vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
