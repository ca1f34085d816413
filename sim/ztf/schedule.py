"""Times, fields and conditions of the exposures, all from a seed.

The pattern is that of ZTF's public survey: each field every third night, once in g and
once in r, an exposure of 30 s every 40 s, and nights lost to clouds.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from sim.sky.geometry import Field, Floats
from sim.ztf.camera import CHANNELS, grid

EXPOSURE_S = 30.0
VISIT_S = 40.0
_FIRST_NIGHT_MJD = 57_754  # 1 January 2017, from which ZTF counts its nights
_NIGHT_BEGINS_UTC_DAYS = 3 / 24
_MIDNIGHT_UTC_DAYS = 7.8 / 24
_LONGITUDE_DEG = -116.86  # Palomar
_CADENCE_NIGHTS = 3
_WIDTH_OF_NIGHT_DEG = 100.0  # how far in right ascension from the meridian at midnight
_FIELDS_PER_FILTER = 20  # then the filter is changed and the same fields come again
_CLOUDY = 0.3


def night_of(day: date) -> int:
    """Return the number of the night that begins on this day (at Palomar also the UTC date)."""
    return (day - date(2017, 1, 1)).days


def night_begins_jd(night: int) -> float:
    """Return the Julian date (UTC) of the first exposure of a night."""
    return 2_400_000.5 + _FIRST_NIGHT_MJD + night + _NIGHT_BEGINS_UTC_DAYS


@dataclass(frozen=True, slots=True)
class Exposure:
    """An exposure: `filter_id` is 1 for g and 2 for r, `jd` is its beginning."""

    jd: float
    night: int
    number: int
    field: Field
    filter_id: int

    @property
    def blueness(self) -> float:
        """The filter on a scale on which r is 0 and g is 1."""
        return 2.0 - self.filter_id

    @property
    def night_and_fraction(self) -> tuple[int, float]:
        """The number of the night and the time as a fraction of the UTC day."""
        return self.night, (self.jd - 0.5) % 1


@lru_cache(maxsize=64)
def night_plan(seed: int, night: int) -> tuple[Exposure, ...]:
    """Return the exposures of a night in order of time; none if it is cloudy."""
    if np.random.default_rng((seed, 1, night)).random() < _CLOUDY:
        return ()
    midnight_jd = night_begins_jd(night) - _NIGHT_BEGINS_UTC_DAYS + _MIDNIGHT_UTC_DAYS
    sidereal_deg = 280.46 + 360.985_647_3 * (midnight_jd - 2_451_545) + _LONGITUDE_DEG

    def hour_angle_deg(field: Field) -> float:
        return (field.ra_deg - sidereal_deg + 180) % 360 - 180

    fields = sorted(
        (
            field
            for field in grid()
            if (field.number + night) % _CADENCE_NIGHTS == 0
            and abs(hour_angle_deg(field)) < _WIDTH_OF_NIGHT_DEG
        ),
        key=hour_angle_deg,
    )
    exposures: list[Exposure] = []
    for first in range(0, len(fields), _FIELDS_PER_FILTER):
        for filter_id in (1, 2):
            for field in fields[first : first + _FIELDS_PER_FILTER]:
                # Seven decimals of a day, as in the survey's packets.
                jd = round(night_begins_jd(night) + len(exposures) * VISIT_S / 86_400, 7)
                exposures.append(Exposure(jd, night, len(exposures), field, filter_id))
    return tuple(exposures)


def exposures_before(seed: int, exposure: Exposure, days: float) -> list[Exposure]:
    """Return the exposures of the same field in the `days` before this one, oldest first."""
    nights = range(exposure.night - int(days) - 1, exposure.night + 1)
    return [
        earlier
        for night in nights
        for earlier in _plan_by_field(seed, night).get(exposure.field.number, ())
        if exposure.jd - days <= earlier.jd < exposure.jd
    ]


@lru_cache(maxsize=64)
def _plan_by_field(seed: int, night: int) -> dict[int, list[Exposure]]:
    plan: dict[int, list[Exposure]] = {}
    for exposure in night_plan(seed, night):
        plan.setdefault(exposure.field.number, []).append(exposure)
    return plan


@dataclass(frozen=True)
class Conditions:
    """The quality of an exposure in each of the 64 channels. Fluxes are data numbers (DN)."""

    zero_point_mag: Floats
    zero_point_error_mag: Floats
    zero_point_rms_mag: Floats
    colour_term: Floats
    colour_term_error: Floats
    seeing_pixels: Floats
    background_dn: Floats
    pixel_noise_dn: Floats
    flux_error_dn: Floats
    calibrators: Floats

    @property
    def limit_mag(self) -> Floats:
        """The magnitude of five times the flux error."""
        return self.zero_point_mag - 2.5 * np.log10(5 * self.flux_error_dn)


def conditions(seed: int, exposure: Exposure) -> Conditions:
    """Draw the conditions: a common part for the exposure, and a small part for each channel."""
    rng = np.random.default_rng((seed, 2, exposure.night, exposure.number))
    common = rng.normal(size=4)
    each = rng.normal(size=(8, CHANNELS))
    in_g = exposure.filter_id == 1
    seeing_pixels = (2.2 if in_g else 2.0) * np.exp(0.15 * common[0] + 0.03 * each[0])
    background = (140.0 if in_g else 240.0) * np.exp(0.25 * common[1] + 0.03 * each[1])
    # Read from real images: 7.9 DN at a background of 131, 12.6 at 291.
    pixel_noise = 0.72 * np.sqrt(background)
    # A point source is measured over 2.27 fwhm^2 pixels; the reference image adds its noise.
    flux_error = 1.3 * pixel_noise * np.sqrt(2.27) * seeing_pixels
    return Conditions(
        zero_point_mag=(26.3 if in_g else 26.2) + 0.05 * common[2] + 0.03 * each[2],
        zero_point_error_mag=1e-5 * np.exp(0.5 * each[3]),
        zero_point_rms_mag=0.04 * np.exp(0.2 * each[4]),
        colour_term=(-0.05 if in_g else 0.1) + 0.01 * each[5],
        colour_term_error=2e-5 * np.exp(0.5 * each[6]),
        seeing_pixels=seeing_pixels,
        background_dn=background,
        pixel_noise_dn=pixel_noise,
        flux_error_dn=flux_error,
        calibrators=np.round(400 * np.exp(0.3 * common[3] + 0.4 * each[7])),
    )
