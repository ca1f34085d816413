"""What is in a field of the sky: objects that stay, and asteroids that pass through.

Fluxes are in units in which 25 mag is 1, so that an exposure with zero point z counts
``flux * 10 ** (0.4 * (z - 25))`` data numbers.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from sim.schedule import Exposure, night_begins_jd
from sim.sky import Field, Floats, Ints, Places, camera_deg, places, random_places

REFERENCE_MAG = 25.0


class Kind(StrEnum):
    """What an object is: the truth that its alerts do not tell."""

    VARIABLE_STAR = "variable star"
    ACTIVE_GALAXY = "active galaxy"
    SUPERNOVA = "supernova"
    ASTEROID = "asteroid"


KINDS = tuple(Kind)

# Of a hundred alerts so many are of the kind, and of a hundred such objects in a field so
# many are above the limit in an exposure (found by counting); so many objects are needed.
_ALERTS_SHARE = {
    Kind.VARIABLE_STAR: 0.60,
    Kind.ACTIVE_GALAXY: 0.12,
    Kind.SUPERNOVA: 0.08,
    Kind.ASTEROID: 0.20,
}
_SEEN_SHARE = {
    Kind.VARIABLE_STAR: 0.64,
    Kind.ACTIVE_GALAXY: 0.31,
    Kind.SUPERNOVA: 0.12,
    Kind.ASTEROID: 0.97,
}
SUPERNOVA_DAYS = (-70.0, 300.0)
"""From when to when, counted from the survey's first night, supernovae explode."""


_WAVES = 4
_ERUPTION_SCALE = 1.6
"""The rise times the decline reach about 1 / 1.6 at the brightest."""


@dataclass(frozen=True)
class Population:
    """Objects of one field, one entry of each array to an object.

    Attributes
    ----------
    kind
        Index in `KINDS`.
    places
        Where they are.
    serial
        A number for the name: different for all objects of a survey (asteroids: the body's).
    reference_mag_gr
        Magnitude of the nearest source of the reference image, in g and r: shape (n, 2).
    host_east_arcsec, host_north_arcsec
        Where that source is, seen from the object.
    onset_jd, eruption_flux_gr, rise_days, fall_days_gr
        A supernova: when it begins, and how it goes up and down.
    periods_days, amplitudes_mag, phases
        Waves of the brightness, shape (n, 4): a star's period and its overtone; an active
        galaxy's unrelated ones, the longer the stronger, which for months looks like the
        red noise that it has.
    """

    kind: npt.NDArray[np.int8]
    places: Places
    serial: npt.NDArray[np.int64]
    reference_mag_gr: Floats
    host_east_arcsec: Floats
    host_north_arcsec: Floats
    onset_jd: Floats
    eruption_flux_gr: Floats
    rise_days: Floats
    fall_days_gr: Floats
    periods_days: Floats
    amplitudes_mag: Floats
    phases: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def is_kind(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Which of the objects are of this kind."""
        return self.kind == KINDS.index(kind)

    def take(self, which: Ints) -> "Population":
        """Only these objects, in this order."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen = {name: value[which] for name, value in values.items() if name != "places"}
        return Population(places=self.places.take(which), **chosen)

    def difference_flux(self, jd: float, filter_id: int) -> Floats:
        """How much brighter than in the reference image each is; negative if fainter."""
        band = filter_id - 1
        turns = self.phases + jd / self.periods_days
        waves_mag = np.sum(self.amplitudes_mag * np.sin(2 * np.pi * turns), axis=1)
        reference = _flux(self.reference_mag_gr[:, band])
        days = np.clip(jd - self.onset_jd, 0, None)
        up = -np.expm1(-((days / self.rise_days) ** 2))
        down = np.exp(-days / self.fall_days_gr[:, band])
        return reference * np.expm1(-0.4 * np.log(10) * waves_mag) + (
            self.eruption_flux_gr[:, band] * up * down
        )


def lasting(seed: int, field: Field, alerts_per_visit: int, first_night: int) -> Population:
    """The field's objects that stay where they are, whichever the night."""
    rng = np.random.default_rng((seed, 3, field.number))
    kinds = [kind for kind in KINDS if kind != Kind.ASTEROID]
    kind = np.repeat(
        [KINDS.index(kind) for kind in kinds], [_count(kind, alerts_per_visit) for kind in kinds]
    )
    size = len(kind)
    star = kind == KINDS.index(Kind.VARIABLE_STAR)
    supernova = kind == KINDS.index(Kind.SUPERNOVA)

    red = np.where(star, 19.0 - 5 * rng.beta(1, 2.5, size), rng.uniform(16.5, 20.5, size))
    colour = np.where(star, rng.uniform(0.2, 1.3, size), rng.uniform(0.3, 0.9, size))
    host_arcsec = np.where(supernova, rng.rayleigh(2.0, size), rng.rayleigh(0.08, size))
    angle = rng.uniform(0, 2 * np.pi, size)
    periods, amplitudes = _waves(rng, star, variable=~supernova)
    explodes = night_begins_jd(first_night) + rng.uniform(*SUPERNOVA_DAYS, size)
    scale = _ERUPTION_SCALE * _flux(rng.uniform(16.8, 19.6, (size, 1)))
    return Population(
        kind=kind.astype(np.int8),
        places=random_places(rng, field, size),
        serial=field.number * size + np.arange(size),
        reference_mag_gr=np.stack([red + colour, red], axis=1),
        host_east_arcsec=host_arcsec * np.cos(angle),
        host_north_arcsec=host_arcsec * np.sin(angle),
        onset_jd=np.where(supernova, explodes, np.inf),
        eruption_flux_gr=np.repeat(np.where(supernova[:, np.newaxis], scale, 0.0), 2, axis=1),
        rise_days=rng.uniform(4, 9, size),
        fall_days_gr=np.stack([rng.uniform(12, 22, size), rng.uniform(20, 40, size)], axis=1),
        periods_days=periods,
        amplitudes_mag=amplitudes,
        phases=rng.random((size, _WAVES)),
    )


def passing(seed: int, exposure: Exposure, alerts_per_visit: int) -> Population:
    """The asteroids that an exposure finds in its field, the same bodies all night.

    On another night there are other ones: their orbits are not followed.
    """
    field = exposure.field
    rng = np.random.default_rng((seed, 4, field.number, exposure.night))
    size = _count(Kind.ASTEROID, alerts_per_visit)
    start, number = rng.random((size, 2)), rng.integers(1_000, 700_000, size)
    # Near opposition the main belt moves westward, half an arcminute in an hour.
    arcsec_per_h = rng.normal((-32, 10), (8, 10), (size, 2))
    hours = 24 * (exposure.jd - night_begins_jd(exposure.night))
    share = start + arcsec_per_h * hours / 3600 / camera_deg()
    red, asteroid = rng.uniform(16.0, 20.2, size), np.full(size, KINDS.index(Kind.ASTEROID))
    # The nearest source of the reference image has nothing to do with it.
    apart, angle = rng.uniform(3, 20, size), rng.uniform(0, 2 * np.pi, size)
    nearest = rng.uniform(17, 22, (size, 2))
    population = Population(
        kind=asteroid.astype(np.int8),
        places=places(field, share),
        serial=number,
        reference_mag_gr=nearest,
        host_east_arcsec=apart * np.cos(angle),
        host_north_arcsec=apart * np.sin(angle),
        # It shines all the time: up at once, and never down.
        onset_jd=np.zeros(size),
        eruption_flux_gr=_flux(np.stack([red + 0.5, red], axis=1)),
        rise_days=np.ones(size),
        fall_days_gr=np.full((size, 2), np.inf),
        periods_days=np.ones((size, _WAVES)),
        amplitudes_mag=np.zeros((size, _WAVES)),
        phases=np.zeros((size, _WAVES)),
    )
    return population.take(np.flatnonzero(np.all((share > 0) & (share < 1), axis=1)))


def _count(kind: Kind, alerts_per_visit: int) -> int:
    return max(1, round(alerts_per_visit * _ALERTS_SHARE[kind] / _SEEN_SHARE[kind]))


def _flux(mag: Floats) -> Floats:
    return 10 ** (-0.4 * (mag - REFERENCE_MAG))


def _waves(
    rng: np.random.Generator, star: npt.NDArray[np.bool_], variable: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Periods (days) and amplitudes (mag), shape (n, waves)."""
    size = len(star)
    # Half of the stars pulsate within a day, half take months.
    period = np.where(
        rng.random(size) < 0.5, rng.uniform(0.3, 0.9, size), rng.uniform(80, 400, size)
    )
    height = rng.uniform(0.25, 1.0, size)
    star_periods = np.stack([period, period / 2, period, period], axis=1)
    star_heights = height[:, np.newaxis] * np.array([0.7, 0.25, 0, 0])
    galaxy_periods = np.exp(rng.uniform(np.log(15), np.log(600), (size, _WAVES)))
    galaxy_heights = 0.3 * np.sqrt(galaxy_periods / 600)
    is_star = star[:, np.newaxis]
    periods = np.where(is_star, star_periods, galaxy_periods)
    return periods, np.where(is_star, star_heights, galaxy_heights) * variable[:, np.newaxis]
