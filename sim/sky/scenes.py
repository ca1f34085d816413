"""The scene that a cutout shows around a detection, and the image of a point source."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sim.sky.kinds import GALAXIES, STARS, Kind


class Scene(IntEnum):
    """The content of the template at a detection; artefacts have nothing near them."""

    STAR = 0
    GALAXY = 1
    BESIDE_GALAXY = 2
    NOTHING = 3
    BROKEN = 4


_SCENES = {
    **dict.fromkeys(STARS, Scene.STAR),
    **dict.fromkeys(GALAXIES, Scene.BESIDE_GALAXY),
    Kind.ACTIVE_GALAXY: Scene.GALAXY,
    Kind.ASTEROID: Scene.NOTHING,
    Kind.HOSTLESS: Scene.NOTHING,
    Kind.DRIFTER: Scene.NOTHING,
    Kind.ARTEFACT: Scene.BROKEN,
}


def scene_of(kind: Kind) -> Scene:
    """Return the scene around objects of a type."""
    return _SCENES[kind]


def profile(
    width_pixels: float, centre: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """Return a round Gaussian of this full width at half maximum whose sum is one.

    The image is `size` pixels wide; `centre` is the offset from the middle pixel.
    """
    axis = np.arange(size) - size // 2
    sigma = width_pixels / 2.355
    along = [np.exp(-0.5 * ((axis - c) / sigma) ** 2) for c in centre]
    profile = np.outer(along[1], along[0])
    return profile / profile.sum()
