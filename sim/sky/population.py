"""The objects in a field: positions, brightness and light curves.

Fluxes are in units in which 25 mag is 1, so that an exposure with zero point z counts
``flux * 10 ** (0.4 * (z - 25))`` data numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from sim.sky import curves
from sim.sky.geometry import Floats, Ints, Places, offset
from sim.sky.kinds import ALERTS_SHARE, KINDS, NEW, PERIODIC, STARS, Kind

REFERENCE_MAG = 25.0

SUPERNOVA_DAYS = (-70.0, 300.0)
"""First and last day on which supernovae explode, counted from the survey's first night."""

_FOR_EVER_DAYS = 1e12


_WAVES = 4
_FWHM_OF_SIGMA = 2.355
_ERUPTION_SCALE = 1.6
"""The rise times the decline reach about 1 / 1.6 at the brightest."""


@dataclass(frozen=True)
class Population:
    """Objects of one field, one entry of each array for each object.

    Attributes
    ----------
    kind
        Index in `KINDS`.
    places
        Their positions.
    serial
        A number for the name: different for all objects of a survey (asteroids: the body's).
    reference_mag_gr
        Magnitude of the nearest source of the reference image, in g and r: shape (n, 2).
    host_east_arcsec, host_north_arcsec
        The offset of that source from the object.
    onset_jd, eruption_flux_gr, rise_days, fall_days_gr
        A supernova: its beginning, rise and fall. A lens: its closest approach, and in
        `rise_days` the days for its Einstein radius. Flares and strange objects: the beginning of
        the first cycle, and the brightness of one.
    periods_days, amplitudes_mag, phases
        Waves of the brightness, shape (n, 4): a star's period and its overtone; an active
        galaxy's unrelated ones, the longer the stronger, which for months looks like the
        red noise that it has. For eclipses, flares and steps the first period counts.
    shape
        Eclipses: their width as a share of the period. Flares: their decay in days. A lens:
        its closest approach in Einstein radii.
    drift_east_arcsec_per_day, drift_north_arcsec_per_day
        A drifting source: its motion since `onset_jd`. Else 0.

    `sim.sky.strange` says what these are for strange objects.
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
    shape: Floats
    drift_east_arcsec_per_day: Floats
    drift_north_arcsec_per_day: Floats

    def __len__(self) -> int:
        return len(self.kind)

    def is_kind(self, *kinds: Kind) -> npt.NDArray[np.bool_]:
        """Whether each object is of one of these types."""
        return np.isin(self.kind, [KINDS.index(kind) for kind in kinds])

    @property
    def period_days(self) -> Floats:
        """The period of a periodic object, else NaN."""
        return np.where(self.is_kind(*PERIODIC), self.periods_days[:, 0], np.nan)

    @property
    def event_jd(self) -> Floats:
        """The time of an event, else NaN.

        That is the beginning of a transient, the closest approach of a lens, the middle of a deep
        dip, or the end of an ever faster rise.
        """
        return np.where(self.is_kind(*NEW), self.onset_jd, np.nan)

    def take(self, which: Ints) -> "Population":
        """Return only these objects, in this order."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen = {name: value[which] for name, value in values.items() if name != "places"}
        return Population(places=self.places.take(which), **chosen)

    def reference_mag(self, blueness: float | Floats) -> Floats:
        """Return the magnitude of the nearest source in the reference image: r for 0, g for 1.

        Other bands are on the line through the two. One band, or one for each object.
        """
        green, red = self.reference_mag_gr.T
        return red + blueness * (green - red)

    def difference_flux(self, jd: float | Floats, blueness: float | Floats) -> Floats:
        """Return the flux above that in the reference image; negative if fainter.

        The band is 0 for r and 1 for g; others are on the line through the two. Time and band may
        differ between objects.
        """
        turns = self.phases + np.reshape(jd, (-1, 1)) / self.periods_days
        fainter_mag = curves.waves_mag(turns, self.amplitudes_mag)
        days = jd - self.onset_jd
        share = curves.eruption(days, self.rise_days, _between(self.fall_days_gr, blueness))
        lensed = np.zeros(len(self))
        self._strange(days, fainter_mag, share, _between(self.fall_days_gr, blueness))
        if len(here := np.flatnonzero(self.is_kind(Kind.ECLIPSING))):
            depth_mag = self.amplitudes_mag[here, 0]
            fainter_mag[here] = curves.eclipses_mag(turns[here, 0], depth_mag, self.shape[here])
        if len(here := np.flatnonzero(self.is_kind(Kind.FLARE_STAR))):
            share[here] = curves.flares(days[here], self.periods_days[here, 0], self.shape[here])
        if len(here := np.flatnonzero(self.is_kind(Kind.MICROLENSING))):
            einstein_days, impact = self.rise_days[here], self.shape[here]
            lensed[here] = curves.microlensing(days[here], einstein_days, impact)
        own = flux_of(self.reference_mag(blueness))
        changed = np.expm1(-0.4 * np.log(10) * fainter_mag) + lensed
        return own * changed + _between(self.eruption_flux_gr, blueness) * share

    def _strange(self, days: Floats, fainter_mag: Floats, share: Floats, fall_days: Floats) -> None:
        """Put the curves of the strange objects into both arrays."""
        period, height, shape = self.periods_days[:, 0], self.amplitudes_mag[:, 0], self.shape
        if len(here := np.flatnonzero(self.is_kind(Kind.STRANGE))):
            share[here] = curves.shrinking_steps(days[here], period[here])
        if len(here := np.flatnonzero(self.is_kind(Kind.DEEP_DIP))):
            fainter_mag[here] = curves.dip_mag(days[here], self.rise_days[here], height[here])
        if len(here := np.flatnonzero(self.is_kind(Kind.DRIFTER))):
            share[here] = curves.plateau(days[here], shape[here])
        if len(here := np.flatnonzero(self.is_kind(Kind.TWO_PEAKS))):
            rise_days = self.rise_days[here]
            share[here] = curves.two_peaks(
                days[here], rise_days, fall_days[here], period[here], shape[here]
            )
        if len(here := np.flatnonzero(self.is_kind(Kind.CHIRP))):
            longest_days = self.rise_days[here]
            fainter_mag[here] = curves.chirp_mag(
                days[here], period[here], longest_days, shape[here], height[here]
            )
        if len(here := np.flatnonzero(self.is_kind(Kind.RUNAWAY))):
            share[here] = curves.runaway(days[here], self.rise_days[here])

    def drifted_arcsec(self, jd: float | Floats) -> tuple[Floats, Floats]:
        """Return how far each object has drifted from its place, to the east and to the north."""
        drifts = self.is_kind(Kind.DRIFTER)
        days = np.where(drifts, np.clip(jd - np.where(drifts, self.onset_jd, 0), 0, None), 0)
        return self.drift_east_arcsec_per_day * days, self.drift_north_arcsec_per_day * days

    def at(self, jd: float | Floats, pixel_arcsec: float) -> "Population":
        """Return the objects where they are at that time; the reference sources stay."""
        if not self.is_kind(Kind.DRIFTER).any():
            return self
        east, north = self.drifted_arcsec(jd)
        there = self.places
        ra_deg, dec_deg = offset(there.ra_deg, there.dec_deg, east, north)
        moved = replace(
            there,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            x_pixels=there.x_pixels + east / pixel_arcsec,
            y_pixels=there.y_pixels + north / pixel_arcsec,
        )
        return replace(
            self,
            places=moved,
            host_east_arcsec=self.host_east_arcsec - east,
            host_north_arcsec=self.host_north_arcsec - north,
        )

    def light_at_place(self, jd: float | Floats, seeing_arcsec: Floats) -> Floats:
        """Return the share of the flux that a fit at each object's fixed place measures.

        It is below 1 for what has drifted away: the overlap of two Gaussian point spread functions.
        """
        sigma_arcsec = seeing_arcsec / _FWHM_OF_SIGMA
        return np.exp(-((np.hypot(*self.drifted_arcsec(jd)) / (2 * sigma_arcsec)) ** 2))


def joined(populations: Sequence[Population]) -> Population:
    """Join populations, one after another."""
    names = [item.name for item in fields(Population) if item.name != "places"]
    columns = {name: np.concatenate([getattr(p, name) for p in populations]) for name in names}
    there = [
        np.concatenate([getattr(p.places, item.name) for p in populations])
        for item in fields(Places)
    ]
    return Population(places=Places(*there), **columns)


def populated(
    rng: np.random.Generator,
    counts: Mapping[Kind, int],
    there: Places,
    *,
    first_serial: int,
    begins_jd: float,
    deeper_mag: float = 0.0,
) -> Population:
    """Make lasting objects at these positions, in the order of the types.

    Parameters
    ----------
    rng
        Generator of their properties.
    counts, there
        The number of objects of each type, and their positions.
    first_serial
        The serial of the first object.
    begins_jd
        The beginning of the survey.
    deeper_mag
        Magnitudes by which all are fainter than in ZTF.
    """
    kind = np.repeat([KINDS.index(kind) for kind in counts], list(counts.values()))
    size = len(kind)

    def of(*kinds: Kind) -> npt.NDArray[np.bool_]:
        return np.isin(kind, [KINDS.index(wanted) for wanted in kinds])

    star, supernova, lens = of(*STARS), of(Kind.SUPERNOVA), of(Kind.MICROLENSING)
    in_cycles = of(Kind.FLARE_STAR, Kind.STRANGE, Kind.CHIRP)
    red = np.where(star, 19.0 - 5 * rng.beta(1, 2.5, size), rng.uniform(16.5, 20.5, size))
    # A flaring star is a red dwarf, which is below the limit between its flares.
    red = np.where(of(Kind.FLARE_STAR), rng.uniform(18.5, 21.0, size), red) + deeper_mag
    colour = np.where(star, rng.uniform(0.2, 1.3, size), rng.uniform(0.3, 0.9, size))
    host_arcsec = np.where(supernova, rng.rayleigh(2.0, size), rng.rayleigh(0.08, size))
    angle = rng.uniform(0, 2 * np.pi, size)
    periods, amplitudes = _waves(rng, kind)
    happens = begins_jd + rng.uniform(*SUPERNOVA_DAYS, size)
    erupts = of(Kind.SUPERNOVA, Kind.FLARE_STAR, Kind.STRANGE)
    peak_mag = rng.uniform(16.8, 19.6, size) + deeper_mag
    scale = np.where(supernova, _ERUPTION_SCALE, 1.0) * flux_of(peak_mag)
    cycles_from = begins_jd - rng.uniform(1_000, 2_000, size)
    onset = np.where(of(*NEW), happens, np.where(in_cycles, cycles_from, np.inf))
    width = np.where(
        of(Kind.ECLIPSING), rng.uniform(0.03, 0.08, size), rng.uniform(0.05, 0.15, size)
    )
    return Population(
        kind=kind.astype(np.int8),
        places=there,
        serial=first_serial + np.arange(size),
        reference_mag_gr=np.stack([red + colour, red], axis=1),
        host_east_arcsec=host_arcsec * np.cos(angle),
        host_north_arcsec=host_arcsec * np.sin(angle),
        onset_jd=onset,
        eruption_flux_gr=np.repeat(np.where(erupts, scale, 0.0)[:, np.newaxis], 2, axis=1),
        rise_days=np.where(lens, rng.uniform(8, 60, size), rng.uniform(4, 9, size)),
        fall_days_gr=np.stack([rng.uniform(12, 22, size), rng.uniform(20, 40, size)], axis=1),
        periods_days=periods,
        amplitudes_mag=amplitudes,
        phases=rng.random((size, _WAVES)),
        shape=np.where(lens, rng.uniform(0.05, 0.5, size), width),
        drift_east_arcsec_per_day=np.zeros(size),
        drift_north_arcsec_per_day=np.zeros(size),
    )


def passing(
    rng: np.random.Generator, kind: Kind, there: Places, red_mag: Floats, number: Ints
) -> Population:
    """Make objects that are at their positions in one exposure alone, with these magnitudes."""
    size = len(number)
    # The nearest source of the reference image is unrelated.
    apart, angle = rng.uniform(3, 20, size), rng.uniform(0, 2 * np.pi, size)
    return Population(
        kind=np.full(size, KINDS.index(kind), np.int8),
        places=there,
        serial=number,
        reference_mag_gr=rng.uniform(17, 22, (size, 2)),
        host_east_arcsec=apart * np.cos(angle),
        host_north_arcsec=apart * np.sin(angle),
        # Constant light: an eruption that rises at once and never falls.
        onset_jd=np.zeros(size),
        eruption_flux_gr=flux_of(np.stack([red_mag + 0.5, red_mag], axis=1)),
        rise_days=np.ones(size),
        fall_days_gr=np.full((size, 2), _FOR_EVER_DAYS),
        periods_days=np.ones((size, _WAVES)),
        amplitudes_mag=np.zeros((size, _WAVES)),
        phases=np.zeros((size, _WAVES)),
        shape=np.ones(size),
        drift_east_arcsec_per_day=np.zeros(size),
        drift_north_arcsec_per_day=np.zeros(size),
    )


def count(kind: Kind, alerts_per_visit: int, seen_share: float) -> int:
    """Return the number of objects of a type that a field needs for its share of the alerts."""
    return max(1, round(alerts_per_visit * ALERTS_SHARE[kind] / seen_share))


def none_for_nan(values: Floats) -> list[float | None]:
    """Return a list with None in place of NaN."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124


def flux_of(mag: Floats) -> Floats:
    """Return fluxes in units of the flux of 25 mag."""
    return 10 ** (-0.4 * (mag - REFERENCE_MAG))


def _between(values_gr: Floats, blueness: float | Floats) -> Floats:
    """Interpolate between the two in logarithms; both are positive, both negative or both zero."""
    green, red = values_gr.T
    ratio = np.divide(green, red, out=np.ones_like(red), where=red != 0)
    return red * ratio**blueness


def _waves(rng: np.random.Generator, kind: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Draw periods (days) and amplitudes (mag), shape (n, waves)."""
    size = len(kind)
    periods = np.exp(rng.uniform(np.log(15), np.log(600), (size, _WAVES)))
    amplitudes = np.zeros((size, _WAVES))
    galaxy = kind == KINDS.index(Kind.ACTIVE_GALAXY)
    amplitudes[galaxy] = 0.3 * np.sqrt(periods[galaxy] / 600)
    height = rng.uniform(0.25, 1.0, size)
    for which, shortest, longest in (
        (Kind.RR_LYRAE, 0.3, 0.9),
        (Kind.MIRA, 80.0, 400.0),
        (Kind.ECLIPSING, 0.4, 6.0),
        (Kind.FLARE_STAR, 0.3, 1.0),
        (Kind.STRANGE, 20.0, 60.0),
    ):
        here = kind == KINDS.index(which)
        periods[here] = rng.uniform(shortest, longest, size)[here, np.newaxis]
        amplitudes[here, 0] = height[here]
        if which in (Kind.RR_LYRAE, Kind.MIRA):  # and an overtone
            periods[here, 1] /= 2
            amplitudes[here] = height[here, np.newaxis] * np.array([0.7, 0.25, 0, 0])
        elif which != Kind.ECLIPSING:
            amplitudes[here] = 0
    return periods, amplitudes
