"""Types of objects: the truth that their alerts do not contain."""

from collections.abc import Mapping
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
    HOSTLESS = "bright hostless transient"
    DEEP_DIP = "deep dip of a steady star"
    FAST_BLUE = "fast blue transient"
    DRIFTER = "drifting source"
    JUMP = "sudden jump"
    TWO_PEAKS = "two-peaked transient"
    CHIRP = "chirping star"
    RUNAWAY = "ever faster rise"


class VisibleIn(StrEnum):
    """Where a strange kind can be told from ordinary ones."""

    PACKET = "packet"
    CURVE = "curve"


KINDS: Final = tuple(Kind)
STARS: Final = (
    Kind.RR_LYRAE,
    Kind.MIRA,
    Kind.ECLIPSING,
    Kind.FLARE_STAR,
    Kind.MICROLENSING,
    Kind.STRANGE,
    Kind.DEEP_DIP,
    Kind.JUMP,
    Kind.CHIRP,
    Kind.RUNAWAY,
)
"""Types that are a point in the reference image."""

GALAXIES: Final = (Kind.ACTIVE_GALAXY, Kind.SUPERNOVA, Kind.FAST_BLUE, Kind.TWO_PEAKS)
"""Types that are in or beside a galaxy of the reference image."""

STRANGE_KINDS: Final[Mapping[Kind, VisibleIn]] = {
    Kind.HOSTLESS: VisibleIn.PACKET,
    Kind.DEEP_DIP: VisibleIn.PACKET,
    Kind.FAST_BLUE: VisibleIn.PACKET,
    Kind.DRIFTER: VisibleIn.PACKET,
    Kind.JUMP: VisibleIn.PACKET,
    Kind.STRANGE: VisibleIn.CURVE,
    Kind.TWO_PEAKS: VisibleIn.CURVE,
    Kind.CHIRP: VisibleIn.CURVE,
    Kind.RUNAWAY: VisibleIn.CURVE,
}
"""Types that fit no class, and where they can be seen: in a single packet, or only in the curve of
the object. Without a wish for strange ones there is `STRANGE` alone."""

PASSING: Final = (Kind.ASTEROID, Kind.ARTEFACT)
"""Types that appear at a position only once."""

LASTING: Final = tuple(kind for kind in KINDS if kind not in PASSING)
NEW: Final = (
    Kind.SUPERNOVA,
    Kind.MICROLENSING,
    Kind.HOSTLESS,
    Kind.DEEP_DIP,
    Kind.FAST_BLUE,
    Kind.DRIFTER,
    Kind.JUMP,
    Kind.TWO_PEAKS,
    Kind.RUNAWAY,
)
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
"""Share of all alerts by the type of the object, where no share of strange ones is set."""
