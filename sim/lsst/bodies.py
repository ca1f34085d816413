"""Asteroids in LSST's alerts: positions, designations and orbits."""

import json

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord

from sim.avro_rows import Column, encode_rows
from sim.lsst.fields import ORBIT, SOLAR_SYSTEM_SOURCE
from sim.lsst.sources import SOLAR_SYSTEM_ID, Sightings
from sim.lsst.visits import camera_deg, on_camera
from sim.sky.geometry import Field, Ints
from sim.sky.kinds import Kind
from sim.sky.population import Population, passing

_VALUE = b"\x02"
_MU_S_PER_DAY = 86_400_000_000
_MJD_OF_1970 = 40_587
_LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # the Minor Planet Center does not use the I


def moving(seed: int, field: Field, mjd_tai: float, count: int) -> tuple[Population, Ints]:
    """Return the bodies on the camera, the same all night, and their indices in the night's list.

    Another night has other ones: their orbits are not followed.
    """
    night = int(mjd_tai)
    rng = np.random.default_rng((seed, 14, field.number, night))
    start = (rng.random((count, 2)) - 0.5) * camera_deg()
    # Near opposition the main belt moves westward, half an arcminute in an hour.
    arcsec_per_h = rng.normal((-32, 10), (8, 10), (count, 2))
    red_mag, body = rng.uniform(19, 23.5, count), rng.integers(1_000, 2_000_000, count)
    places, inside = on_camera(field, start + arcsec_per_h * 24 * (mjd_tai - night) / 3600)
    here = np.flatnonzero(inside)
    return passing(rng, Kind.ASTEROID, places, red_mag, body).take(here), here


def solar_system_rows(
    now: Sightings, bodily: npt.NDArray[np.bool_]
) -> tuple[dict[int, str], dict[int, bytes]]:
    """Return the designation, and encoded ssSource and mpc_orbits, of each body by its index."""
    places = np.flatnonzero(bodily).tolist()
    seen = now.take(bodily)
    count = len(places)
    designations = [_designation(number) for number in seen.objects.serial.tolist()]
    names = np.array([name.encode() for name in designations], "S")
    # Orbits of the main belt: the same for the same body.
    rngs = [np.random.default_rng(number) for number in seen.objects.serial.tolist()]
    drawn = np.array([rng.random(8) for rng in rngs]).reshape(count, 8)
    axis_au = 2.2 + 1.1 * drawn[:, 0]
    eccentricity = 0.25 * drawn[:, 1]
    ra_deg, dec_deg, _ = seen.position
    sources = encode_rows(
        SOLAR_SYSTEM_SOURCE,
        {
            "diaSourceId": seen.source_id,
            "ssObjectId": SOLAR_SYSTEM_ID + seen.objects.serial,
            "designation": names,
            **_geometry(seen, axis_au),
            "ephRa": seen.objects.places.ra_deg,
            "ephDec": seen.objects.places.dec_deg,
            "ephOffset": 0.01 + 0.05 * drawn[:, 2],
            "ephOffsetRa": ra_deg - seen.objects.places.ra_deg,
            "ephOffsetDec": dec_deg - seen.objects.places.dec_deg,
            "diaDistanceRank": 1,
        },
        rows=count,
        null_first=True,
    )
    elements: dict[str, Column] = {
        "a": axis_au,
        "e": eccentricity,
        "q": axis_au * (1 - eccentricity),
        "i": 15 * drawn[:, 3],
        "node": 360 * drawn[:, 4],
        "argperi": 360 * drawn[:, 5],
        "mean_anomaly": 360 * drawn[:, 6],
        "period": 365.25 * axis_au**1.5,
        "mean_motion": 360 / (365.25 * axis_au**1.5),
        "h": 14 + 6 * drawn[:, 7],
        "g": 0.15,
        "epoch_mjd": 61_000.0,
    }
    stamp = int((61_000 - _MJD_OF_1970) * _MU_S_PER_DAY)
    orbits = encode_rows(
        ORBIT,
        {
            "id": seen.objects.serial,
            "designation": names,
            "packed_primary_provisional_designation": names,
            "unpacked_primary_provisional_designation": names,
            "mpc_orb_jsonb": np.array(
                [_as_json(name, elements, n) for n, name in enumerate(designations)], "S"
            ),
            "created_at": stamp,
            "updated_at": stamp,
            "fitting_datetime": stamp,
            "orbit_type_int": 11,
            "nopp": 3 + (20 * drawn[:, 2]).astype(np.int64),
            "nobs_total": 50 + (2_000 * drawn[:, 2]).astype(np.int64),
            **elements,
            **{f"{name}_unc": 1e-7 * (1 + drawn[:, 3]) for name in ("a", "e", "q", "i", "node")},
        },
        rows=count,
        null_first=True,
    )
    encoded = [
        _VALUE + source + _VALUE + orbit for source, orbit in zip(sources, orbits, strict=True)
    ]
    return dict(zip(places, designations, strict=True)), dict(zip(places, encoded, strict=True))


def _geometry(seen: Sightings, axis_au: npt.NDArray[np.float64]) -> dict[str, Column]:
    """Return the geometry of body, sun and observer: as at opposition."""
    ra, dec = np.radians([seen.objects.places.ra_deg, seen.objects.places.dec_deg])
    tilt = np.radians(23.439)
    towards = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    y = towards[1] * np.cos(tilt) + towards[2] * np.sin(tilt)
    z = towards[2] * np.cos(tilt) - towards[1] * np.sin(tilt)
    galactic = SkyCoord(ra, dec, unit="rad").galactic
    columns: dict[str, Column] = {
        "eclLambda": np.degrees(np.arctan2(y, towards[0])) % 360,
        "eclBeta": np.degrees(np.arcsin(z)),
        "galLon": galactic.l.deg,
        "galLat": galactic.b.deg,
        "elongation": 170.0,
        "phaseAngle": 4.0,
        "topoRange": axis_au - 1,
        "helioRange": axis_au,
    }
    for name, value in zip("xyz", towards, strict=True):
        columns[f"helio_{name}"] = axis_au * value
        columns[f"topo_{name}"] = (axis_au - 1) * value
    return columns


def _designation(number: int) -> str:
    """Return a provisional designation, such as `2011 QK34`; each number has another one."""
    number, year = divmod(number, 30)
    number, half_month = divmod(number, 24)
    cycle, letter = divmod(number, 25)
    return f"{1995 + year} {_LETTERS[half_month]}{_LETTERS[letter]}{cycle or ''}"


def _as_json(name: str, elements: dict[str, Column], index: int) -> bytes:
    """Return the orbit as the Minor Planet Center's text, a large part of such an alert."""
    names = ["q", "e", "i", "node", "argperi"]
    values = [round(float(np.asarray(elements[key])[index]), 9) for key in names]
    size = len(names) + 1
    covariance = {f"cov{i}{j}": 1e-12 / (1 + i + j) for i in range(size) for j in range(i, size)}
    common = {"coefficient_names": names, "coefficient_values": values, "covariance": covariance}
    return json.dumps(
        {
            "COM": common,
            "CAR": common,
            "designation_data": {"unpacked_primary_provisional_designation": name},
            "epoch_data": {"epoch": 61_000.0, "timeform": "MJD", "timesystem": "TDT"},
            "categorization": {"orbit_type_int": 11, "orbit_type_str": "Main Belt"},
        }
    ).encode()
