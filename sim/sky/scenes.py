"""What a cutout shows around a detection, and the image of a point of light."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sim.sky.kinds import STARS, Kind


class Scene(IntEnum):
    """What the template shows where a detection is; what is broken is beside nothing."""

    STAR = 0
    GALAXY = 1
    BESIDE_GALAXY = 2
    NOTHING = 3
    BROKEN = 4


_SCENES = {
    **dict.fromkeys(STARS, Scene.STAR),
    Kind.ACTIVE_GALAXY: Scene.GALAXY,
    Kind.SUPERNOVA: Scene.BESIDE_GALAXY,
    Kind.ASTEROID: Scene.NOTHING,
    Kind.ARTEFACT: Scene.BROKEN,
}


def scene_of(kind: Kind) -> Scene:
    """What is around objects of a kind."""
    return _SCENES[kind]


def profile(
    width_pixels: float, centre: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.float64]:
    """A round Gaussian of this full width at half maximum whose sum is one.

    It is so many pixels wide as `size` says, and its centre so far from the middle one.
    """
    axis = np.arange(size) - size // 2
    sigma = width_pixels / 2.355
    along = [np.exp(-0.5 * ((axis - c) / sigma) ** 2) for c in centre]
    profile = np.outer(along[1], along[0])
    return profile / profile.sum()
