"""Fields and times of the simulated LSST's visits, and its camera of 189 detectors.

The fields are Rubin's five deep drilling fields, and three in the Galactic plane. Each was visited
some hundred times in the year before the simulation begins; then there is a visit each 37 s, in
turns of thirty to a field, and no cloud.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from sim.sky.geometry import Field, Floats, Ints, Places, deproject, in_galactic_plane
from sim.sky.noise import keys, normal

VISIT_S: Final = 37.0
VISITS_PER_NIGHT: Final = 840
BANDS: Final = ("g", "r", "i", "z")
BLUENESS: Final = np.array([1.0, 0.0, -0.4, -0.6])
"""On the line through r (0) and g (1)."""

# Five-sigma magnitudes of a single visit (LSST Science Requirements, LPM-17, table 6).
LIMIT_MAG: Final = np.array([25.0, 24.7, 24.0, 23.3])

FIELDS: Final = tuple(
    Field(number, ra_deg, dec_deg)
    for number, (ra_deg, dec_deg) in enumerate(
        [
            (150.11, 2.23),  # COSMOS
            (9.45, -44.02),  # ELAIS S1
            (35.57, -4.82),  # XMM-LSS
            (52.98, -28.12),  # Extended Chandra Deep Field South
            (58.90, -49.32),  # Euclid Deep Field South
            (268.5, -29.5),  # bulge
            (255.0, -41.0),  # inner plane
            (130.0, -44.0),  # Vela
        ]
    )
)
_TURN = 30
_BAND_TURN = 5
_YEAR_DAYS = 365.0
_PAST_VISITS, _PAST_VISITS_IN_PLANE = 760, 120
_PAST_PER_NIGHT = 10
_NIGHT_BEGINS_DAYS = 0.05
_DAY_S = 86_400

_MJD_OF_1970 = 40_587
_RAFTS_ACROSS, _DETECTORS_IN_RAFT = 5, 3
_ACROSS = _RAFTS_ACROSS * _DETECTORS_IN_RAFT
_DETECTOR_PIXELS = (4072, 4000)
_DETECTOR_DEG = np.array(_DETECTOR_PIXELS) * 0.2 / 3600


@dataclass(frozen=True)
class Visits:
    """Visits of one field, oldest first: one entry of each array to a visit.

    `visit` is Rubin's number (the day and five digits), `band` an index in `BANDS`.
    """

    visit: Ints
    mjd_tai: Floats
    band: Ints

    def __len__(self) -> int:
        return len(self.visit)

    def limit_mag(self, seed: int) -> Floats:
        """Return the five-sigma magnitude of each visit."""
        noise = normal(keys(seed, self.visit, self.band), 1)
        return LIMIT_MAG[self.band] + 0.15 * noise

    def seeing_arcsec(self, seed: int) -> Floats:
        """Return the full width at half maximum of the point spread function."""
        return 0.8 * np.exp(0.15 * normal(keys(seed, self.visit, self.band), 2))


def field_of(number: int) -> Field:
    """Return the field of the simulation's visit of that number."""
    return FIELDS[int(_field_numbers(np.array([number]))[0])]


def visits_to(first_night: date, number: int) -> Visits:
    """Return the visits of a field up to the simulation's visit of that number, which is the last.

    They begin a year before it: no alert has earlier ones.
    """
    field = field_of(number)
    first_mjd = _MJD_OF_1970 + (first_night - date(1970, 1, 1)).days
    numbers = np.arange(number + 1)
    numbers = numbers[_field_numbers(numbers) == field.number]
    past = _past_visits(first_mjd, field)
    now = _visits(
        first_mjd + numbers // VISITS_PER_NIGHT,
        numbers % VISITS_PER_NIGHT,
        (numbers % VISITS_PER_NIGHT) // _BAND_TURN,
    )
    mjd_tai = np.concatenate([past.mjd_tai, now.mjd_tai])
    recent = mjd_tai > mjd_tai[-1] - _YEAR_DAYS
    return Visits(
        np.concatenate([past.visit, now.visit])[recent],
        mjd_tai[recent],
        np.concatenate([past.band, now.band])[recent],
    )


def on_camera(field: Field, plane_deg: Floats) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return positions of offsets on the tangent plane, shape (n, 2); whether a detector is there.

    The camera is a square of 5 x 5 rafts without its corners; a raft has 3 x 3 detectors.
    """
    scaled = plane_deg / _DETECTOR_DEG + _ACROSS / 2
    column, row = np.floor(scaled).astype(np.int64).T
    pixels = (scaled - np.floor(scaled)) * _DETECTOR_PIXELS
    raft_column, raft_row = column // _DETECTORS_IN_RAFT, row // _DETECTORS_IN_RAFT
    edge = _RAFTS_ACROSS - 1
    corner = np.isin(raft_column, (0, edge)) & np.isin(raft_row, (0, edge))
    inside = np.all((scaled >= 0) & (scaled < _ACROSS), axis=1) & ~corner
    # Rafts are counted along rows; the first and the last row lack two.
    raft = raft_row * _RAFTS_ACROSS + raft_column - 1 - 2 * (raft_row > 0) - (raft_row == edge)
    inner = (row % _DETECTORS_IN_RAFT) * _DETECTORS_IN_RAFT + column % _DETECTORS_IN_RAFT
    ra_deg, dec_deg = deproject(field, plane_deg)
    detector = np.where(inside, raft * _DETECTORS_IN_RAFT**2 + inner, 0)
    return Places(ra_deg, dec_deg, detector, pixels[:, 0], pixels[:, 1]), inside


def camera_deg() -> Floats:
    """Return width and height of the square around the camera."""
    return _ACROSS * _DETECTOR_DEG


def _field_numbers(numbers: Ints) -> Ints:
    turns = numbers // _TURN
    return (turns + numbers // VISITS_PER_NIGHT) % len(FIELDS)


def _past_visits(first_mjd: int, field: Field) -> Visits:
    count = _PAST_VISITS_IN_PLANE if in_galactic_plane(field) else _PAST_VISITS
    number = np.arange(count)
    nights = count // _PAST_PER_NIGHT
    night = first_mjd - 1 - (nights - 1 - number // _PAST_PER_NIGHT) * int(_YEAR_DAYS) // nights
    in_night = number % _PAST_PER_NIGHT
    # Numbers after those of the simulation's own nights; each field has its own.
    sequence = VISITS_PER_NIGHT + field.number * _PAST_PER_NIGHT + in_night
    return _visits(night, sequence, in_night // 2 + number // _PAST_PER_NIGHT)


def _visits(mjd: Ints, sequence: Ints, band_turn: Ints) -> Visits:
    days = (mjd - _MJD_OF_1970).astype("datetime64[D]")
    # The day of an observing night is that on which it began.
    began = (days - 1).astype(str)
    day = np.array([int(text.replace("-", "")) for text in began.tolist()], np.int64)
    mjd_tai = mjd + _NIGHT_BEGINS_DAYS + sequence * VISIT_S / _DAY_S
    return Visits(day * 100_000 + sequence, mjd_tai, band_turn % len(BANDS))
