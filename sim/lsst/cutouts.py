"""Make the images around LSST detections: plain FITS with image, variance and PSF, in nJy.

As for ZTF a pool holds one set of images for each scene, sign and step of brightness. Alerts with
the same set differ in the position in the header only.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from astropy.io import fits

from finkray.avro.container import encode_bytes
from sim.sky.geometry import Floats
from sim.sky.kinds import Kind
from sim.sky.scenes import Scene, profile, scene_of

CUTOUT_SIZES: Final = (32, 40, 52)
_PSF_SIZE, _TEMPLATE_PSF_SIZE = 41, 55
_PIXEL_DEG = 0.2 / 3600
_SEEING_PIXELS = 4.0
_GALAXY_WIDTH_PIXELS = 7.0
_NOISE_NJY = 25.0
_BRIGHTEST_MAG, _FAINTEST_MAG = 15, 26
_CARD, _VALUE = 80, slice(10, 30)


@dataclass(frozen=True, slots=True)
class Cutouts:
    """The three FITS files of a detection, each split at the values of the position."""

    difference: "_SplitFile"
    science: "_SplitFile"
    template: "_SplitFile"


@dataclass(frozen=True, slots=True)
class _SplitFile:
    """A FITS file as Avro bytes, without the two header values of the position."""

    before: bytes
    between: bytes
    after: bytes

    def at(self, ra_deg: float, dec_deg: float) -> bytes:
        """Return the file with this position, as Avro bytes."""
        return b"".join(
            [self.before, _card_value(ra_deg), self.between, _card_value(dec_deg), self.after]
        )


class CutoutPool:
    """Cutouts by their content, which depend on the seed and not on the order of their making."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: dict[tuple[int, ...], Cutouts] = {}

    def pick(
        self,
        kind: Kind,
        magnitude: float,
        reference_magnitude: float,
        *,
        positive: bool,
        size: int,
    ) -> Cutouts:
        """Return the cutouts of a detection; the brightness is right to half a magnitude.

        Parameters
        ----------
        kind
            Decides what the template shows.
        magnitude, reference_magnitude
            Magnitudes of the difference, and of the star or galaxy in the template.
        positive
            Whether the source is brighter than in the template. The difference image, science less
            template, is negative there if it is not.
        size
            Width and height in pixels.
        """
        scene = scene_of(kind)
        empty = scene in (Scene.NOTHING, Scene.BROKEN)
        reference = 0 if empty else 2 * round(_within_range(reference_magnitude) / 2)
        key = (scene, round(_within_range(magnitude)), reference, positive, size)
        cutouts = self._made.get(key)
        if cutouts is None:
            rng = np.random.default_rng((self._seed, 16, *map(int, key)))
            cutouts = self._made[key] = _make(
                rng, scene, key[1], reference, positive=positive, size=size
            )
        return cutouts


def _make(
    rng: np.random.Generator,
    scene: Scene,
    magnitude: int,
    reference: int,
    *,
    positive: bool,
    size: int,
) -> Cutouts:
    centre = rng.uniform(-0.5, 0.5, 2)
    width = 1.0 if scene is Scene.BROKEN else _SEEING_PIXELS
    source = _flux_njy(magnitude) * profile(width, centre, size)
    reference_width = _SEEING_PIXELS if scene is Scene.STAR else _GALAXY_WIDTH_PIXELS
    reference_offset = rng.uniform(-2, 2, 2) if scene is Scene.BESIDE_GALAXY else np.zeros(2)
    reference_flux = _flux_njy(reference) if reference else 0
    reference_image = reference_flux * profile(reference_width, centre + reference_offset, size)
    bright, faint = reference_image + source, reference_image
    now, earlier = (bright, faint) if positive else (faint, bright)
    science = now + rng.normal(0, _NOISE_NJY, now.shape)
    template = earlier + rng.normal(0, _NOISE_NJY / 4, earlier.shape)
    psf = profile(_SEEING_PIXELS, np.zeros(2), _PSF_SIZE)
    template_psf = profile(_SEEING_PIXELS, np.zeros(2), _TEMPLATE_PSF_SIZE)
    noise = np.full(now.shape, _NOISE_NJY**2)
    return Cutouts(
        difference=_split_file(science - template, noise * 17 / 16, psf),
        science=_split_file(science, noise, psf),
        template=_split_file(template, noise / 16, template_psf),
    )


def _flux_njy(magnitude: float) -> float:
    return float(10 ** (0.4 * (31.4 - magnitude)))


def _within_range(magnitude: float) -> float:
    return min(max(magnitude, _BRIGHTEST_MAG), _FAINTEST_MAG)


def _split_file(image: Floats, variance: Floats, psf: Floats) -> _SplitFile:
    primary = fits.PrimaryHDU(image.astype(np.float32))
    header = primary.header
    header["BUNIT"] = "nJy"
    centre = (len(image) + 1) / 2
    for axis, name in enumerate(("RA---TAN", "DEC--TAN"), start=1):
        header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = name, "deg"
        header[f"CRPIX{axis}"], header[f"CRVAL{axis}"] = centre, 0.0
        header[f"CDELT{axis}"] = -_PIXEL_DEG if axis == 1 else _PIXEL_DEG
    header["RADESYS"] = "ICRS"
    uncertainty = fits.ImageHDU(variance.astype(np.float32), name="UNCERT")
    uncertainty.header["UTYPE"] = "VarianceUncertainty"
    out = io.BytesIO()
    fits.HDUList([primary, uncertainty, fits.ImageHDU(psf, name="PSFIMAGE")]).writeto(out)
    data = encode_bytes(out.getvalue())
    # Indices in `data`, which begins with the length that Avro writes before bytes.
    first, second = (data.index(f"CRVAL{axis}  =".encode()) for axis in (1, 2))
    return _SplitFile(
        data[: first + _VALUE.start],
        data[first + _VALUE.stop : second + _VALUE.start],
        data[second + _VALUE.stop :],
    )


def _card_value(degrees: float) -> bytes:
    return f"{degrees:20.13f}".encode()
