"""Types of objects: the truth that their alerts do not contain."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The type of an object."""

    RR_LYRAE = "RR Lyrae star"
    MIRA = "Mira star"
    ECLIPSING = "eclipsing binary"
    FLARE_STAR = "flaring star"
    MICROLENSING = "microlensing event"
    ACTIVE_GALAXY = "active galaxy"
    SUPERNOVA = "supernova"
    STRANGE = "strange object"
    ASTEROID = "asteroid"
    ARTEFACT = "artefact"


KINDS: Final = tuple(Kind)
STARS: Final = (
    Kind.RR_LYRAE,
    Kind.MIRA,
    Kind.ECLIPSING,
    Kind.FLARE_STAR,
    Kind.MICROLENSING,
    Kind.STRANGE,
)
"""Types that are a point in the reference image; the strange ones too."""

PASSING: Final = (Kind.ASTEROID, Kind.ARTEFACT)
"""Types that appear at a position only once."""

LASTING: Final = tuple(kind for kind in KINDS if kind not in PASSING)
NEW: Final = (Kind.SUPERNOVA, Kind.MICROLENSING)
"""Types that are not known before the simulation begins."""

PERIODIC: Final = (Kind.RR_LYRAE, Kind.MIRA, Kind.ECLIPSING)

ALERTS_SHARE: Final = {
    Kind.RR_LYRAE: 0.25,
    Kind.MIRA: 0.20,
    Kind.ECLIPSING: 0.08,
    Kind.FLARE_STAR: 0.03,
    Kind.MICROLENSING: 0.02,
    Kind.ACTIVE_GALAXY: 0.11,
    Kind.SUPERNOVA: 0.08,
    Kind.STRANGE: 0.01,
    Kind.ASTEROID: 0.17,
    Kind.ARTEFACT: 0.05,
}
"""Share of all alerts by the type of the object."""
