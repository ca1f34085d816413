"""Simulate the catalogue sources and solar-system bodies near each object.

In ZTF's alerts a missing value is -999, and a missing name is the text "null".
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from sim.sky.geometry import Floats, Ints, offset
from sim.sky.kinds import STARS, Kind
from sim.sky.population import Population

Columns = dict[str, npt.NDArray[Any]]

MISSING = -999.0
MISSING_NAME = "null"
_RANKS = (1, 2, 3)
_ANGLES = 9_973
_BANDS = ("sg", "sr", "si", "sz")
_REDDER_BY_MAG = np.array([0.0, 0.6, 0.8, 0.9])
_BAND_MISSING_SHARE = 0.2
_THIRD_MISSING_SHARE = 0.1


def neighbours(rng: np.random.Generator, population: Population) -> Columns:
    """Return the columns of the candidate that are the same in each exposure of the object."""
    return {
        **_pan_starrs(rng, population),
        **_gaia(rng, population),
        **_solar_system(rng, population),
    }


def after_drift(columns: Columns, east_arcsec: Floats, north_arcsec: Floats) -> Columns:
    """Return the columns for objects that have moved by this much: catalogue sources stay.

    In which direction a source is, follows from its number; Gaia's have none and take that of the
    first one.
    """
    moved = np.flatnonzero((east_arcsec != 0) | (north_arcsec != 0))
    if not len(moved):
        return columns
    changed = {name: column.copy() for name, column in columns.items()}
    east, north = east_arcsec[moved], north_arcsec[moved]

    def now(name: str, number: str) -> Floats:
        before = columns[name][moved]
        angle = columns[number][moved] % _ANGLES * (2 * np.pi / _ANGLES)
        after = np.hypot(before * np.cos(angle) - east, before * np.sin(angle) - north)
        return np.where(before == MISSING, MISSING, after)

    for name in ("neargaia", "neargaiabright"):
        changed[name][moved] = now(name, "objectidps1")
    distances = np.stack([now(f"distpsnr{rank}", f"objectidps{rank}") for rank in _RANKS])
    order = np.argsort(np.where(distances == MISSING, np.inf, distances), axis=0)
    for start in ("objectidps", "sgscore", *(f"{band}mag" for band in _BANDS)):
        values = np.stack([columns[f"{start}{rank}"][moved] for rank in _RANKS])
        for rank, sorted_values in zip(
            _RANKS, np.take_along_axis(values, order, axis=0), strict=True
        ):
            changed[f"{start}{rank}"][moved] = sorted_values
    for rank, sorted_values in zip(
        _RANKS, np.take_along_axis(distances, order, axis=0), strict=True
    ):
        changed[f"distpsnr{rank}"][moved] = sorted_values
    return changed


def _pan_starrs(rng: np.random.Generator, population: Population) -> Columns:
    size = len(population)
    # The closest source is the star or galaxy itself; the others are unrelated and farther out.
    own_arcsec = np.hypot(population.host_east_arcsec, population.host_north_arcsec)
    farther = np.sort(rng.uniform(5, 30, (size, 2)), axis=1)
    distances = np.column_stack([np.minimum(own_arcsec, 0.9 * farther[:, 0]), farther])
    columns: Columns = {"nmtchps": 3 + rng.poisson(6, size)}
    for rank in _RANKS:
        distance = distances[:, rank - 1]
        missing = np.zeros(size, bool)
        if rank == 3:
            missing = rng.random(size) < _THIRD_MISSING_SHARE
        first_mag = population.reference_mag_gr[:, 0] if rank == 1 else rng.uniform(16, 22, size)
        for band, redder in zip(_BANDS, _REDDER_BY_MAG, strict=True):
            gone = missing | (rng.random(size) < _BAND_MISSING_SHARE)
            mag = first_mag - redder + rng.normal(0, 0.1, size)
            columns[f"{band}mag{rank}"] = np.where(gone, MISSING, mag)
        star_like = rng.beta(0.5, 0.5, size)
        if rank == 1:
            point = population.is_kind(*STARS)
            star_like = np.where(point, rng.beta(20, 1, size), rng.beta(1, 20, size))
        columns[f"sgscore{rank}"] = np.where(missing, MISSING, star_like)
        columns[f"distpsnr{rank}"] = np.where(missing, MISSING, distance)
        number = _pan_starrs_number(rng, population, distance)
        columns[f"objectidps{rank}"] = np.where(missing, int(MISSING), number)
    return columns


def _pan_starrs_number(
    rng: np.random.Generator, population: Population, distance_arcsec: Floats
) -> Ints:
    """Return numbers that contain the position: the zone in declination, then right ascension."""
    angle = rng.uniform(0, 2 * np.pi, len(population))
    ra_deg, dec_deg = offset(
        population.places.ra_deg,
        population.places.dec_deg,
        distance_arcsec * np.cos(angle),
        distance_arcsec * np.sin(angle),
    )
    zone = np.floor((dec_deg + 90) * 120).astype(np.int64)
    along = np.floor(ra_deg * 1_000_000).astype(np.int64) * 10_000
    return zone * 10_000_000_000_000 + along + rng.integers(0, 10_000, len(population))


def _gaia(rng: np.random.Generator, population: Population) -> Columns:
    size = len(population)
    own = population.is_kind(*STARS, Kind.ACTIVE_GALAXY)
    red = population.reference_mag_gr[:, 1]
    distance = np.where(own, rng.rayleigh(0.1, size), rng.uniform(3, 60, size))
    magnitude = np.where(own, red, rng.uniform(15, 20.5, size))
    itself_bright = own & (red < 14)
    no_bright = ~itself_bright & (rng.random(size) < 0.6)
    bright_distance = np.where(itself_bright, distance, rng.uniform(30, 90, size))
    bright_magnitude = np.where(itself_bright, magnitude, rng.uniform(11, 14, size))
    return {
        "neargaia": distance,
        "maggaia": magnitude,
        "neargaiabright": np.where(no_bright, MISSING, bright_distance),
        "maggaiabright": np.where(no_bright, MISSING, bright_magnitude),
    }


def _solar_system(rng: np.random.Generator, population: Population) -> Columns:
    size = len(population)
    asteroid = population.is_kind(Kind.ASTEROID)
    known_mag = 25 - 2.5 * np.log10(np.maximum(population.eruption_flux_gr[:, 0], 1e-9))
    names = population.serial.astype("S")
    return {
        "ssdistnr": np.where(asteroid, rng.integers(0, 5, size), MISSING),
        "ssmagnr": np.where(asteroid, np.round(known_mag, 1), MISSING),
        "ssnamenr": np.where(asteroid, names, MISSING_NAME.encode()),
    }
