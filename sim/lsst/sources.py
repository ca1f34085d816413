"""Measure objects in LSST's visits: detections, forced photometry, and sums over them.

Everything is computed from the seed when it is needed: a detection is the same in the history of a
later alert as in its own, and nothing has to be stored.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sim.avro_rows import Column
from sim.lsst.cutouts import CUTOUT_SIZES
from sim.lsst.visits import BANDS, BLUENESS, Visits
from sim.sky.geometry import Floats, Ints, offset
from sim.sky.kinds import GALAXIES, STARS, Kind
from sim.sky.noise import keys, normal, uniform
from sim.sky.population import Population

ZERO_MAG = 31.4
"""The AB magnitude of 1 nJy."""

TAI_MINUS_UTC_DAYS = 37 / 86_400
_JD_OF_MJD = 2_400_000.5
_NJY_PER_FLUX = 10 ** (0.4 * (ZERO_MAG - 25))
_THRESHOLD = 5.0
_PIXEL_ARCSEC = 0.2
_CALIBRATION_ERROR = 0.005
_PROCESSING_DAYS = 60 / 86_400
_FIRST_MJD = 60_000
_NUMBER_BITS, _DETECTOR_BITS, _SEQUENCE_BITS = 20, 8, 12
NUMBERS = 1 << _NUMBER_BITS
OBJECT_ID = 313_000_000_000_000_000
SOLAR_SYSTEM_ID = 20_890_000_000_000_000


@dataclass(frozen=True)
class Sightings:
    """Objects in visits, one entry of each array to a pair.

    Attributes
    ----------
    seed
        Seed of the survey.
    objects
        The objects.
    identity
        A number for each object: its field's, and one below 2^20 within it.
    visits
        The visits.
    """

    seed: int
    objects: Population
    identity: Ints
    visits: Visits

    def take(self, which: Ints | npt.NDArray[np.bool_]) -> "Sightings":
        """Return only these pairs."""
        indices: Ints = np.arange(len(self.identity))[which]
        visits = self.visits
        some = Visits(visits.visit[indices], visits.mjd_tai[indices], visits.band[indices])
        return Sightings(self.seed, self.objects.take(indices), self.identity[indices], some)

    @cached_property
    def flux_njy(self) -> Floats:
        """The true difference to the reference image."""
        jd = utc_jd(self.visits.mjd_tai)
        return _NJY_PER_FLUX * self.objects.difference_flux(jd, BLUENESS[self.visits.band])

    @cached_property
    def reference_njy(self) -> Floats:
        """The flux at the position in the reference image."""
        magnitude = self.objects.reference_mag(BLUENESS[self.visits.band])
        there = self.objects.is_kind(*STARS, *GALAXIES)
        return np.where(there, 10 ** (0.4 * (ZERO_MAG - magnitude)), 0.0)

    @cached_property
    def there(self) -> Population:
        """The objects where they are at the time of the visit."""
        return self.objects.at(utc_jd(self.visits.mjd_tai), _PIXEL_ARCSEC)

    @cached_property
    def error_njy(self) -> Floats:
        """Standard error of a flux."""
        sky_njy = 10 ** (0.4 * (ZERO_MAG - self.visits.limit_mag(self.seed))) / _THRESHOLD
        return np.hypot(sky_njy, _CALIBRATION_ERROR * (self.reference_njy + np.abs(self.flux_njy)))

    @property
    def detected(self) -> npt.NDArray[np.bool_]:
        """Whether the true flux is above five times its error."""
        return np.abs(self.flux_njy) > _THRESHOLD * self.error_njy

    @cached_property
    def keys(self) -> npt.NDArray[np.uint64]:
        """Hashes from which the noise is computed."""
        return keys(self.seed, self.identity, self.visits.visit)

    @cached_property
    def measured_njy(self) -> Floats:
        """The flux with its noise."""
        return self.flux_njy + self.error_njy * normal(self.keys, 1)

    @cached_property
    def source_id(self) -> Ints:
        """`diaSourceId`: night, number of the visit in it, detector, and number on the detector."""
        night = self.visits.mjd_tai.astype(np.int64) - _FIRST_MJD
        visit = (night << _SEQUENCE_BITS) + self.visits.visit % 100_000
        there = (visit << _DETECTOR_BITS) + self.objects.places.channel
        return (there << _NUMBER_BITS) + self.identity % NUMBERS

    @property
    def size_pixels(self) -> Ints:
        """`bboxSize`: the width of the cutouts."""
        sizes = np.array(CUTOUT_SIZES)
        return sizes[(uniform(self.keys, 15) * len(sizes)).astype(np.int64)]

    @cached_property
    def object_id(self) -> Ints:
        """`diaObjectId`: 0 for bodies of the solar system; each artefact has another one."""
        known = np.where(
            self.objects.is_kind(Kind.ARTEFACT), self.source_id, OBJECT_ID + self.identity
        )
        return np.where(self.objects.is_kind(Kind.ASTEROID), 0, known)

    @cached_property
    def position(self) -> tuple[Floats, Floats, Floats]:
        """Measured right ascension and declination, and their error: degrees."""
        signal_to_noise = np.abs(self.measured_njy) / self.error_njy
        error_arcsec = np.hypot(0.01, 0.4 / np.maximum(signal_to_noise, 3))
        east, north = (error_arcsec * normal(self.keys, stream) for stream in (2, 3))
        places = self.there.places
        ra_deg, dec_deg = offset(places.ra_deg, places.dec_deg, east, north)
        return ra_deg, dec_deg, error_arcsec / 3600


def utc_jd(mjd_tai: Floats) -> Floats:
    """Convert a modified Julian date in TAI to a Julian date in UTC."""
    return mjd_tai - TAI_MINUS_UTC_DAYS + _JD_OF_MJD


def band_names(band: Ints) -> npt.NDArray[np.bytes_]:
    """Return the names of the bands as Avro strings."""
    return np.array([name.encode() for name in BANDS])[band]


def source_columns(seen: Sightings) -> dict[str, Column]:
    """Return the columns of diaSource, the same in the alert itself and in later histories."""
    flux, error, noise = seen.measured_njy, seen.error_njy, seen.keys
    ra_deg, dec_deg, error_deg = seen.position
    artefact = seen.objects.is_kind(Kind.ARTEFACT)
    bodily = seen.objects.is_kind(Kind.ASTEROID)
    signal_to_noise = np.abs(flux) / error
    x, y = (
        axis + 20 * normal(keys(seen.seed, seen.visits.visit, seen.visits.band), stream)
        for stream, axis in enumerate((seen.there.places.x_pixels, seen.there.places.y_pixels), 3)
    )
    moment = (0.42 * seen.visits.seeing_arcsec(seen.seed)) ** 2
    wider = np.where(artefact, 0.2, 1.0)
    real = 1 - 0.6 * uniform(noise, 9) * np.minimum(1, 5 / signal_to_noise)
    tail_deg = 0.3 / 3600 * normal(noise, 10)
    flags = _flags(artefact)
    return {
        "diaSourceId": seen.source_id,
        "visit": seen.visits.visit,
        "detector": seen.objects.places.channel,
        "diaObjectId": seen.object_id,
        "ssObjectId": np.where(bodily, SOLAR_SYSTEM_ID + seen.objects.serial, 0),
        "parentDiaSourceId": 0,
        "midpointMjdTai": seen.visits.mjd_tai,
        "ra": ra_deg,
        "raErr": error_deg,
        "dec": dec_deg,
        "decErr": error_deg,
        "ra_dec_Cov": 0.1 * error_deg**2 * normal(noise, 4),
        "x": np.clip(x, 0, 4071),
        "xErr": error_deg * 18_000,
        "y": np.clip(y, 0, 3999),
        "yErr": error_deg * 18_000,
        "apFlux": flux + 0.5 * error * normal(noise, 5),
        "apFluxErr": 1.1 * error,
        "isNegative": flux < 0,
        "snr": signal_to_noise,
        "psfFlux": flux,
        "psfFluxErr": error,
        "psfChi2": 1681 + 58 * normal(noise, 6) + np.where(artefact, 4000, 0),
        "psfNdata": 1681,
        "trailFlux": 1.02 * flux,
        "trailFluxErr": error,
        "trailRa": ra_deg + tail_deg,
        "trailDec": dec_deg + tail_deg,
        "trailLength": 0.5 + np.where(bodily, 0.4, 0.1) * (1 + uniform(noise, 7)),
        "trailAngle": 180 * uniform(noise, 8) - 90,
        "trailNdata": 0,
        "dipoleNdata": 0,
        "scienceFlux": seen.reference_njy + flux,
        "scienceFluxErr": error,
        "templateFlux": seen.reference_njy,
        "templateFluxErr": 0.1 * error,
        "ixx": wider * moment * (1 + 0.1 * normal(noise, 11)),
        "iyy": wider * moment * (1 + 0.1 * normal(noise, 12)),
        "ixy": 0.03 * moment * normal(noise, 13),
        "ixxPSF": moment,
        "iyyPSF": 1.01 * moment,
        "ixyPSF": 0.01 * moment,
        "extendedness": uniform(noise, 14) ** 3,
        "reliability": np.where(artefact, 1 - real, real),
        "band": band_names(seen.visits.band),
        "timeProcessedMjdTai": seen.visits.mjd_tai + _PROCESSING_DAYS,
        "bboxSize": seen.size_pixels,
        **flags,
    }


def forced_columns(seen: Sightings) -> dict[str, Column]:
    """Return the columns of diaForcedSource: the flux at an object's position, detected or not."""
    places, noise = seen.objects.places, normal(seen.keys, 20)
    here = seen.objects.light_at_place(
        utc_jd(seen.visits.mjd_tai), seen.visits.seeing_arcsec(seen.seed)
    )
    flux = here * seen.flux_njy + seen.error_njy * noise
    return {
        "diaForcedSourceId": seen.source_id,
        "diaObjectId": seen.object_id,
        "ra": places.ra_deg,
        "dec": places.dec_deg,
        "visit": seen.visits.visit,
        "detector": places.channel,
        "psfFlux": flux,
        "psfFluxErr": seen.error_njy,
        "midpointMjdTai": seen.visits.mjd_tai,
        "scienceFlux": seen.reference_njy + flux,
        "scienceFluxErr": seen.error_njy,
        "band": band_names(seen.visits.band),
        "timeProcessedMjdTai": seen.visits.mjd_tai + _PROCESSING_DAYS,
    }


def object_columns(seen: Sightings, which: Ints, objects: Sightings) -> dict[str, Column]:
    """Return the columns of diaObject: sums over all detections of each object.

    Parameters
    ----------
    seen
        All detections, including those of the alerts.
    which
        The index in `objects` of the object of each detection.
    objects
        The objects, each in the visit of its alert.
    """
    count = len(objects.identity)
    detections = np.bincount(which, minlength=count)
    first, last = np.full(count, np.inf), np.zeros(count)
    np.minimum.at(first, which, seen.visits.mjd_tai)
    np.maximum.at(last, which, seen.visits.mjd_tai)
    ra_deg, dec_deg, error_deg = objects.position
    columns: dict[str, Column] = {
        "diaObjectId": objects.object_id,
        "validityStartMjdTai": objects.visits.mjd_tai + _PROCESSING_DAYS,
        "ra": ra_deg,
        "raErr": error_deg / np.sqrt(detections),
        "dec": dec_deg,
        "decErr": error_deg / np.sqrt(detections),
        "firstDiaSourceMjdTai": first,
        "lastDiaSourceMjdTai": last,
        "nDiaSources": detections,
    }
    for name in "uy":  # these bands are not used
        columns[f"{name}_psfFluxNdata"] = 0
    for band, name in enumerate(BANDS):
        here = seen.visits.band == band
        columns |= _band_columns(
            name, which[here], seen.measured_njy[here], seen.error_njy[here], count
        )
    return columns


def _band_columns(
    name: str, which: Ints, flux: Floats, error: Floats, count: int
) -> dict[str, Column]:
    number = np.bincount(which, minlength=count)
    some = np.maximum(number, 1)
    mean = np.bincount(which, flux, count) / some
    scatter = np.sqrt(np.bincount(which, (flux - mean[which]) ** 2, count) / some)
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, which, flux)
    np.maximum.at(most, which, flux)
    none = number == 0
    values = {
        "Mean": mean,
        "MeanErr": scatter / np.sqrt(some),
        "Sigma": scatter,
        "Min": least,
        "Max": most,
        "ErrMean": np.bincount(which, error, count) / some,
    }
    columns: dict[str, Column] = {
        f"{name}_psfFlux{what}": np.ma.array(np.where(none, 0, value), mask=none)
        for what, value in values.items()
    }
    return {**columns, f"{name}_psfFluxNdata": number}


def _flags(artefact: npt.NDArray[np.bool_]) -> dict[str, Column]:
    """Return the flags: all are false, except those of artefacts."""
    of_pixels = (
        "bad cr crCenter edge nodata nodataCenter interpolated interpolatedCenter offimage "
        "saturated saturatedCenter suspect suspectCenter streak streakCenter injected "
        "injectedCenter injected_template injected_templateCenter"
    )
    others = (
        "centroid_flag apFlux_flag apFlux_flag_apertureTruncated psfFlux_flag psfFlux_flag_edge "
        "psfFlux_flag_noGoodPixels trail_flag_edge forced_PsfFlux_flag forced_PsfFlux_flag_edge "
        "forced_PsfFlux_flag_noGoodPixels shape_flag shape_flag_no_pixels "
        "shape_flag_not_contained shape_flag_parent_source isDipole dipoleFitAttempted glint_trail"
    )
    columns: dict[str, Column] = {f"pixelFlags_{name}": False for name in of_pixels.split()}
    columns |= dict.fromkeys(others.split(), False)
    return {**columns, "pixelFlags": artefact, "pixelFlags_cr": artefact}
