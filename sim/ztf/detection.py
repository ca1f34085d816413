"""Measure the objects of a field in one exposure: detections and forced photometry.

An object is detected if its true signal is above five times the error; the measured values have
noise. So a detection can be computed again at any time, and the same seed gives the same history in
any order of computing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finkray.errors import SettingsError
from sim.avro_rows import Column
from sim.sky.geometry import Floats, Ints, offset
from sim.sky.kinds import STARS, Kind
from sim.sky.population import Population
from sim.ztf.camera import CHANNEL_PIXELS, CHANNELS, PIXEL_ARCSEC
from sim.ztf.frame import NOT_MEASURED, Frame

_THRESHOLD = 5.0
_FAILED_SHARE = 0.01  # of forced photometry
_POSITIVE, _NEGATIVE = 15_000, 10_000  # the first digits after the image number in a candid
MAX_PER_CHANNEL = _POSITIVE - _NEGATIVE - 1


@dataclass(frozen=True)
class Detections:
    """The detected objects of a population in one exposure.

    `object_indexes` are their indices in the population; the other arrays are in the same order.
    `columns` are those that candidates and history entries share.
    """

    object_indexes: Ints
    candid: Ints
    channel: Ints
    magnitude: Floats
    positive: npt.NDArray[np.bool_]
    ra_deg: Floats
    dec_deg: Floats
    columns: dict[str, Column]


def detect(
    rng: np.random.Generator, frame: Frame, population: Population, taken: Ints | None = None
) -> Detections:
    """Find the objects that are bright or faint enough, and measure them.

    Parameters
    ----------
    rng
        Generator of the noise.
    frame
        The exposure.
    population
        The objects in its field.
    taken
        Number of detections that each channel has already; they are numbered first.
    """
    everywhere = population.places.channel
    flux = population.difference_flux(frame.exposure.jd, frame.exposure.blueness)
    true_dn = frame.dn(flux, everywhere)
    seen = np.abs(true_dn) > _THRESHOLD * frame.conditions.flux_error_dn[everywhere]
    object_indexes = np.flatnonzero(seen)
    # In the order of the candids: by channel, then by number within it.
    object_indexes = object_indexes[np.argsort(everywhere[object_indexes], kind="stable")]
    there = population.take(object_indexes).at(frame.exposure.jd, PIXEL_ARCSEC)
    channel, true_dn = everywhere[object_indexes], true_dn[object_indexes]

    number = numbers(channel, taken)
    positive = true_dn > 0
    sign = np.where(positive, _POSITIVE, _NEGATIVE)
    candid = frame.image_number[channel] * 1_000_000 + sign + number

    error_dn = frame.conditions.flux_error_dn[channel]
    noise = rng.normal(size=(12, len(object_indexes)))
    flux_dn = np.abs(true_dn) * (1 + 0.01 * noise[0]) + error_dn * noise[1]
    flux_dn = np.maximum(flux_dn, 3 * error_dn)
    signal_to_noise = flux_dn / error_dn
    magnitude = frame.conditions.zero_point_mag[channel] - 2.5 * np.log10(flux_dn)
    # The centre is known to a fraction of the seeing, and never better than 40 mas.
    scatter_arcsec = np.hypot(
        0.04, 0.5 * PIXEL_ARCSEC * frame.conditions.seeing_pixels[channel] / signal_to_noise
    )
    east, north = np.clip(noise[2:4], -3, 3) * scatter_arcsec
    ra_deg, dec_deg = offset(there.places.ra_deg, there.places.dec_deg, east, north)
    columns: dict[str, Column] = {
        **frame.columns(channel, archived=False),
        "candid": candid,
        "tblid": number,
        "isdiffpos": np.where(positive, b"t", b"f"),
        "ra": np.round(ra_deg, 7),
        "dec": np.round(dec_deg, 7),
        **_photometry(frame, channel, magnitude, signal_to_noise, noise[4:7]),
        **_shape(rng, frame, there, signal_to_noise, noise[7:12]),
        **_in_image(there, rng),
        **_nearest(there, frame.exposure.filter_id),
        "distnr": np.hypot(there.host_east_arcsec - east, there.host_north_arcsec - north)
        / PIXEL_ARCSEC,
    }
    return Detections(
        object_indexes, candid, channel, magnitude, positive, ra_deg, dec_deg, columns
    )


def forced_photometry(
    rng: np.random.Generator, frame: Frame, population: Population
) -> dict[str, Column]:
    """Return the columns of the flux at every object's position, detected or not."""
    channel = population.places.channel
    error_dn = frame.conditions.flux_error_dn[channel]
    flux = population.difference_flux(frame.exposure.jd, frame.exposure.blueness)
    seeing_arcsec = PIXEL_ARCSEC * frame.conditions.seeing_pixels[channel]
    flux = flux * population.light_at_place(frame.exposure.jd, seeing_arcsec)
    flux_dn = frame.dn(flux, channel) + error_dn * rng.normal(size=len(population))
    measured = {
        "forcediffimflux": flux_dn,
        "forcediffimfluxunc": error_dn,
        **_nearest(population, frame.exposure.filter_id),
        "distnr": np.hypot(population.host_east_arcsec, population.host_north_arcsec),
    }
    failed = rng.random(len(population)) < _FAILED_SHARE
    return {
        **frame.forced_columns(channel),
        **{name: np.where(failed, NOT_MEASURED, values) for name, values in measured.items()},
        "procstatus": np.where(failed, b"61", b"0"),
    }


def taken(detections: Detections) -> Ints:
    """Return the number of detections in each channel."""
    return np.bincount(detections.channel, minlength=CHANNELS)


def numbers(channel: Ints, taken: Ints | None = None) -> Ints:
    """Number detections 1, 2, 3 … in each readout channel, after those that are taken there.

    Raises
    ------
    SettingsError
        There are more than the digits of a candid allow: two alerts would have the same candid.
    """
    number = 1 + _count_up(channel) + (0 if taken is None else taken[channel])
    if len(number) and number.max() > MAX_PER_CHANNEL:
        raise SettingsError(
            f"simulator.alerts_per_visit: {number.max()} alerts in one of {CHANNELS} readout "
            f"channels, and there are candids for {MAX_PER_CHANNEL}: use fewer"
        )
    return number


def _count_up(channel: Ints) -> Ints:
    """Count 0, 1, 2 … in each run of equal numbers."""
    first = np.searchsorted(channel, channel)
    return np.arange(len(channel)) - first


def _photometry(
    frame: Frame, channel: Ints, magnitude: Floats, signal_to_noise: Floats, noise: Floats
) -> dict[str, Column]:
    sigma = np.hypot(1.0857 / signal_to_noise, 0.015)
    aperture = magnitude + 0.6 * sigma * noise[0]
    big = aperture + 0.4 * sigma * noise[1]
    return {
        "magpsf": magnitude,
        "sigmapsf": sigma,
        # Bright sources show that the model of the point spread function is not perfect.
        "chipsf": np.exp(0.3 * noise[2]) * (1 + (signal_to_noise / 60) ** 2),
        "magap": aperture,
        "sigmagap": 0.8 * sigma,
        "magdiff": aperture - magnitude,
        "magfromlim": frame.conditions.limit_mag[channel] - aperture,
        "magapbig": big,
        "sigmagapbig": 1.1 * sigma,
        # The last digits of a logarithm differ from processor to processor.
        "scorr": np.round(signal_to_noise * 1.1, 4),
    }


def _shape(
    rng: np.random.Generator,
    frame: Frame,
    population: Population,
    signal_to_noise: Floats,
    noise: Floats,
) -> dict[str, Column]:
    size = len(population)
    seeing = frame.conditions.seeing_pixels[population.places.channel]
    width = seeing * np.exp(0.15 * noise[0])
    long_axis = 0.34 * width * np.exp(0.1 * noise[1])
    elongation = 1 + 0.1 * np.abs(noise[2])
    short_axis = long_axis / elongation
    faint = 5 / signal_to_noise
    real = rng.beta(8, 1 + 2 * faint)
    return {
        "fwhm": width,
        "seeratio": seeing / width,
        "aimage": long_axis,
        "bimage": short_axis,
        "aimagerat": long_axis / width,
        "bimagerat": short_axis / width,
        "elong": elongation,
        "classtar": 1 - 0.1 * rng.random(size),
        "sky": noise[3],
        "nneg": rng.binomial(10, 0.5 * np.clip(faint, 0, 1)),
        "nbad": 0,
        "rb": np.where(population.is_kind(Kind.ARTEFACT), 1 - real, real),
        "sumrat": np.clip(1 - 0.2 * faint * np.abs(noise[4]), 0, 1),
    }


def _in_image(population: Population, rng: np.random.Generator) -> dict[str, Column]:
    # The telescope returns to a field within some pixels.
    dither = rng.normal(0, 8, 2)
    width, height = CHANNEL_PIXELS
    x = np.clip(population.places.x_pixels + dither[0], 0.5, width - 0.5)
    y = np.clip(population.places.y_pixels + dither[1], 0.5, height - 0.5)
    edge = np.min([x, width - x, y, height - y], axis=0)
    return {"xpos": x, "ypos": y, "mindtoedge": edge}


def _nearest(population: Population, filter_id: int) -> dict[str, Floats]:
    """Return the nearest source of the reference image, the same in every exposure."""
    ra_deg, dec_deg = offset(
        population.places.ra_deg,
        population.places.dec_deg,
        population.host_east_arcsec,
        population.host_north_arcsec,
    )
    magnitude = population.reference_mag_gr[:, filter_id - 1]
    point = population.is_kind(*STARS)
    return {
        "magnr": magnitude,
        "sigmagnr": 0.01 + 0.02 * 10 ** (0.3 * (magnitude - 18)),
        "chinr": np.where(point, 0.6, 1.8) + 0.01 * (population.serial % 30),
        "sharpnr": np.where(point, 0.0, 0.3) + 0.001 * (population.serial % 50),
        "ranr": np.round(ra_deg, 7),
        "decnr": np.round(dec_deg, 7),
    }
