"""The objects in a field of ZTF: lasting ones, asteroids that pass through, artefacts."""

from dataclasses import replace

import numpy as np

from sim.sky.geometry import Field
from sim.sky.kinds import Kind
from sim.sky.population import Population, count, passing, populated
from sim.sky.strange import STRANGE_SEEN_SHARE, lasting_counts, most_lasting, with_strange
from sim.ztf.camera import camera_deg, places, random_places
from sim.ztf.schedule import Exposure, night_begins_jd

# Share of the objects in a field that are above the limit in an exposure (counted): a field needs
# more objects by the inverse of it.
_SEEN_SHARE = {
    Kind.RR_LYRAE: 0.64,
    Kind.MIRA: 0.64,
    Kind.ECLIPSING: 0.25,
    Kind.FLARE_STAR: 0.36,
    Kind.MICROLENSING: 0.25,
    Kind.ACTIVE_GALAXY: 0.31,
    Kind.SUPERNOVA: 0.12,
    Kind.STRANGE: 0.9,
    Kind.ASTEROID: 0.97,
    Kind.ARTEFACT: 0.97,
    **STRANGE_SEEN_SHARE,
}


def lasting(
    seed: int,
    field: Field,
    alerts_per_visit: int,
    first_night: int,
    strange_percent: float = 0.0,
) -> Population:
    """Return the field's objects that are there in more than one night."""
    rng = np.random.default_rng((seed, 3, field.number))
    strange_rng = np.random.default_rng((seed, 17, field.number))
    counts = lasting_counts(strange_rng, alerts_per_visit, _SEEN_SHARE, strange_percent)
    size = sum(counts.values())
    # How many objects are strange is random: serials, and so names, of two fields must not meet.
    serials = most_lasting(alerts_per_visit, _SEEN_SHARE, strange_percent)
    population = populated(
        rng,
        counts,
        random_places(rng, field, size),
        first_serial=field.number * serials,
        begins_jd=night_begins_jd(first_night),
    )
    return with_strange(strange_rng, population) if strange_percent else population


def asteroids(seed: int, exposure: Exposure, alerts_per_visit: int) -> Population:
    """Return the asteroids in the field of an exposure, the same bodies all night.

    Another night has other ones: their orbits are not followed.
    """
    field = exposure.field
    rng = np.random.default_rng((seed, 4, field.number, exposure.night))
    size = count(Kind.ASTEROID, alerts_per_visit, _SEEN_SHARE[Kind.ASTEROID])
    start, number = rng.random((size, 2)), rng.integers(1_000, 700_000, size)
    # Near opposition the main belt moves westward, half an arcminute in an hour.
    arcsec_per_h = rng.normal((-32, 10), (8, 10), (size, 2))
    hours = 24 * (exposure.jd - night_begins_jd(exposure.night))
    share = start + arcsec_per_h * hours / 3600 / camera_deg()
    population = passing(
        rng, Kind.ASTEROID, places(field, share), rng.uniform(16.0, 20.2, size), number
    )
    return population.take(np.flatnonzero(np.all((share > 0) & (share < 1), axis=1)))


def artefacts(seed: int, exposure: Exposure, alerts_per_visit: int) -> Population:
    """Return the artefacts of this exposure alone: cosmic rays, hot pixels, bad subtractions."""
    rng = np.random.default_rng((seed, 10, exposure.night, exposure.number))
    size = count(Kind.ARTEFACT, alerts_per_visit, _SEEN_SHARE[Kind.ARTEFACT])
    there = random_places(rng, exposure.field, size)
    found = passing(rng, Kind.ARTEFACT, there, rng.uniform(16.0, 20.0, size), np.arange(size))
    sign = rng.choice([-1.0, 1.0], (size, 1))
    return replace(found, eruption_flux_gr=sign * found.eruption_flux_gr)
