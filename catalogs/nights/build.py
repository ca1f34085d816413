"""List the nights that can be built, and build one of them."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from catalogs.nights.collection import CollectionRequest, build_collection
from catalogs.nights.generation import Committed, Plan
from catalogs.nights.index import NightFacts, NightIndex
from catalogs.nights.layout import night_end, nights_folder
from catalogs.nights.steps import Steps
from finkray.errors import NightError
from finkray.storage.contract import Storage
from finkray.surveys import SURVEYS

LEAF_ROWS: Final = 50_000
"""Alerts of a leaf: 12 leaves of some 10 MB for 100 000 alerts of ZTF."""

OBJECT_LEAF_ROWS: Final = {"ztf": 50_000, "lsst": 4_000}
"""Most alerts of the objects of a leaf, by survey: some 4 million points of histories."""


@dataclass(frozen=True, slots=True)
class NightRequest:
    """Which night to build, and how.

    Attributes
    ----------
    survey, night
        whose alerts
    facts
        what the ledger holds of it
    leaf_rows
        alerts of a leaf
    object_leaf_rows
        alerts of the objects of a leaf
    scratch
        folder of the local disk for the runs; None is the temporary folder
    """

    survey: str
    night: date
    facts: NightFacts
    leaf_rows: int = LEAF_ROWS
    object_leaf_rows: int | None = None
    scratch: Path | None = None

    @property
    def plan(self) -> Plan:
        """What the generation is built of."""
        objects = self.object_leaf_rows or OBJECT_LEAF_ROWS[self.survey]
        night = self.night.isoformat()
        return Plan(self.survey, night, self.facts.cursor, self.leaf_rows, objects)

    def collection(self, storage: Storage) -> CollectionRequest:
        """Return the collection to build, which decides whose nights lie in `hats/nights`."""
        root = nights_folder(storage, self.survey, decide=True)
        return CollectionRequest(
            folder=f"{root}/{self.night.isoformat()}",
            nights=frozenset([self.night]),
            facts=self.facts,
            plan=self.plan,
            narrow=True,
            scratch=self.scratch,
        )


def requests(index: NightIndex, night: date, survey: str | None = None) -> list[NightRequest]:
    """Return what there is to build of a night, one for each survey.

    Raises
    ------
    NightError
        if the archive has no alerts of that night
    """
    found = [
        NightRequest(name, night, facts)
        for (name, of_night), facts in sorted(index.nights.items())
        if of_night == night and survey in (None, name)
    ]
    if not found:
        nights = sorted({of_night.isoformat() for _, of_night in index.nights})
        there = f"it has {', '.join(nights[-5:])}" if nights else "it has no alerts with a night"
        more = f", and {len(nights) - 5} earlier ones" if len(nights) > 5 else ""
        whose = f" of {survey}" if survey else ""
        raise NightError(f"the archive has no alerts{whose} of night {night}: {there}{more}")
    return found


def refuse_incomplete(request: NightRequest, now: datetime) -> None:
    """Refuse a night that is not over.

    Raises
    ------
    NightError
        if it is not
    """
    end = night_end(SURVEYS[request.survey], request.night)
    if now < end:
        raise NightError(
            f"night {request.night} of {request.survey} is not complete: it ends at "
            f"{end:%Y-%m-%dT%H:%M} UTC. Build it then, or what there is of it now: --incomplete"
        )


def build_night(storage: Storage, request: NightRequest, steps: Steps) -> Committed:
    """Build a generation of a night, or return the one there is if it has all alerts.

    Parameters and errors are those of `build_collection`.
    """
    return build_collection(storage, request.collection(storage), steps)
