"""Images around an LSST detection: uncompressed FITS with image, variance and PSF, in nJy.

They come from a pool, as ZTF's: one set for each scene, sign and step of brightness. Only the
position in the header differs between alerts.
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
    """The three files, each split where the position is written."""

    difference: "_Pieces"
    science: "_Pieces"
    template: "_Pieces"


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A file after its length, without the two values of the position."""

    before: bytes
    between: bytes
    after: bytes

    def at(self, ra_deg: float, dec_deg: float) -> bytes:
        """Return the file of this position, as Avro bytes."""
        return b"".join(
            [self.before, _card_value(ra_deg), self.between, _card_value(dec_deg), self.after]
        )


class CutoutPool:
    """Cutouts by their content; the same for the same seed, in whatever order they are made."""

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
            Whether the source is brighter than in the template. A difference is science less
            template here, and so has a hole if it is not.
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
    around = _SEEING_PIXELS if scene is Scene.STAR else _GALAXY_WIDTH_PIXELS
    beside = rng.uniform(-2, 2, 2) if scene is Scene.BESIDE_GALAXY else np.zeros(2)
    other = (_flux_njy(reference) if reference else 0) * profile(around, centre + beside, size)
    now, before = (other + source, other) if positive else (other, other + source)
    science = now + rng.normal(0, _NOISE_NJY, now.shape)
    template = before + rng.normal(0, _NOISE_NJY / 4, before.shape)
    psf = profile(_SEEING_PIXELS, np.zeros(2), _PSF_SIZE)
    template_psf = profile(_SEEING_PIXELS, np.zeros(2), _TEMPLATE_PSF_SIZE)
    noise = np.full(now.shape, _NOISE_NJY**2)
    return Cutouts(
        difference=_pieces(science - template, noise * 17 / 16, psf),
        science=_pieces(science, noise, psf),
        template=_pieces(template, noise / 16, template_psf),
    )


def _flux_njy(magnitude: float) -> float:
    return float(10 ** (0.4 * (31.4 - magnitude)))


def _within_range(magnitude: float) -> float:
    return min(max(magnitude, _BRIGHTEST_MAG), _FAINTEST_MAG)


def _pieces(image: Floats, variance: Floats, psf: Floats) -> _Pieces:
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
    # Avro's length before the file moves the cards, but not their distance.
    first, second = (data.index(f"CRVAL{axis}  =".encode()) for axis in (1, 2))
    return _Pieces(
        data[: first + _VALUE.start],
        data[first + _VALUE.stop : second + _VALUE.start],
        data[second + _VALUE.stop :],
    )


def _card_value(degrees: float) -> bytes:
    return f"{degrees:20.13f}".encode()
