"""Images around a detection: science, template, difference; gzipped FITS, 63 x 63 float32.

They come from a pool: one set of images for each scene, sign and step of brightness, made at first
use. A set for each alert would cost ten times as much as everything else.
"""

import gzip
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finkray.avro.container import encode_bytes
from sim.sky.kinds import Kind
from sim.sky.scenes import Scene, profile, scene_of

SIZE = 63
_FITS_BLOCK = 2880
_ZERO_POINT_MAG = 26.2
_SEEING_PIXELS = 2.1
_SCIENCE_BACKGROUND_DN = 200.0
_TEMPLATE_BACKGROUND_DN = 205.0
_GAIN = 6.2  # electrons to a data number
_READ_NOISE_DN = 1.7
_FRAMES_IN_TEMPLATE = 15
_STEP_MAG, _REFERENCE_STEP_MAG = 0.5, 1.0
_BRIGHTEST_MAG, _FAINTEST_MAG = 11.0, 22.0
_VARIANTS = 2
_GALAXY_WIDTH_PIXELS = 6.0

Image = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cutouts:
    """The three images, each a gzipped FITS file after its length (Avro bytes)."""

    science: bytes
    template: bytes
    difference: bytes


class CutoutPool:
    """Sets of cutouts, each made at first use. A set depends on the seed, not on earlier calls."""

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
        number: int,
    ) -> Cutouts:
        """Return the cutouts of a detection; the brightness is right to a quarter of a magnitude.

        Parameters
        ----------
        kind
            Decides what the template shows: a star, a galaxy, or nothing.
        magnitude
            Magnitude of the difference.
        reference_magnitude
            Magnitude of the star or galaxy in the template.
        positive
            Whether the source is brighter than in the template. If not, the difference is template
            minus science, as in the survey: the source is bright in it.
        number
            Any number; it chooses one of the sets that differ only in their noise and centre.
        """
        scene = scene_of(kind)
        nothing_there = scene in (Scene.NOTHING, Scene.BROKEN)
        steps = (
            round(_within_range(magnitude) / _STEP_MAG),
            0 if nothing_there else round(_within_range(reference_magnitude) / _REFERENCE_STEP_MAG),
        )
        key = (scene, *steps, int(positive), number % _VARIANTS)
        cutouts = self._made.get(key)
        if cutouts is None:
            rng = np.random.default_rng((self._seed, 6, *key))
            images = _images(
                rng,
                scene,
                source_dn=_flux_dn(steps[0] * _STEP_MAG),
                reference_dn=0 if nothing_there else _flux_dn(steps[1] * _REFERENCE_STEP_MAG),
                positive=positive,
            )
            cutouts = Cutouts(*(encode_bytes(to_fits_gz(image)) for image in images))
            self._made[key] = cutouts
        return cutouts


def _within_range(magnitude: float) -> float:
    return min(max(magnitude, _BRIGHTEST_MAG), _FAINTEST_MAG)


def _images(
    rng: np.random.Generator, scene: Scene, *, source_dn: float, reference_dn: float, positive: bool
) -> tuple[Image, Image, Image]:
    """Make science, template and difference of a source that appeared (or faded)."""
    centre = rng.uniform(-0.5, 0.5, 2)
    # An artefact did not come through the optics and is sharper than a star.
    source = source_dn * profile(1.0 if scene == Scene.BROKEN else _SEEING_PIXELS, centre, SIZE)
    if scene == Scene.STAR:
        # A star that faded has lost its own light.
        left_dn = reference_dn if positive else max(reference_dn - source_dn, 0)
        other = left_dn * profile(_SEEING_PIXELS, centre, SIZE)
    else:
        # A supernova is beside the centre of its galaxy, an active nucleus is the centre.
        beside = rng.uniform(-2, 2, 2) if scene == Scene.BESIDE_GALAXY else 0
        other = reference_dn * profile(_GALAXY_WIDTH_PIXELS, centre + beside, SIZE)
    now, before = (other + source, other) if positive else (other, other + source)
    science = now + _SCIENCE_BACKGROUND_DN
    science += _noise(rng, science)
    template = before + _TEMPLATE_BACKGROUND_DN
    template += _noise(rng, template) / np.sqrt(_FRAMES_IN_TEMPLATE)
    difference = (science - _SCIENCE_BACKGROUND_DN) - (template - _TEMPLATE_BACKGROUND_DN)
    if not positive:
        difference = -difference
    return science.astype(np.float32), template.astype(np.float32), difference.astype(np.float32)


def _flux_dn(magnitude: float) -> float:
    return float(10 ** (0.4 * (_ZERO_POINT_MAG - magnitude)))


def _noise(rng: np.random.Generator, image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return rng.normal(size=image.shape) * np.sqrt(image / _GAIN + _READ_NOISE_DN**2)


def to_fits_gz(image: Image) -> bytes:
    """Return a gzipped FITS file with one image of 63 x 63."""
    data = image.astype(">f4").tobytes()
    padding = bytes(-len(data) % _FITS_BLOCK)
    # No time in the gzip header: the same seed must give the same bytes.
    return gzip.compress(_FITS_HEADER + data + padding, compresslevel=6, mtime=0)


# Six cards of 80 characters and the END, filled up to a block (FITS standard 4.0, chapter 4).
_CARDS = {
    "SIMPLE": "T",
    "BITPIX": "-32",
    "NAXIS": "2",
    "NAXIS1": str(SIZE),
    "NAXIS2": str(SIZE),
    "BUNIT": "'DN      '",
}
_FITS_HEADER = (
    ("".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in _CARDS.items()) + "END")
    .encode()
    .ljust(_FITS_BLOCK)
)
