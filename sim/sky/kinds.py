"""What objects can be: the truth that their alerts do not tell."""

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What an object is."""

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
"""What is seen as a point in the reference image; the strange ones too."""

PASSING: Final = (Kind.ASTEROID, Kind.ARTEFACT)
"""What is in one place but once."""

LASTING: Final = tuple(kind for kind in KINDS if kind not in PASSING)
NEW: Final = (Kind.SUPERNOVA, Kind.MICROLENSING)
"""What nobody knew before the simulation begins."""

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
"""Of all alerts so many are of the kind."""
