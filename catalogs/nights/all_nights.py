"""Consolidate: all built nights of a survey as one collection, `hats/all`.

It is built from the packets of its nights as a night is, not from the nights' catalogues: a point
of a catalogue does not have what decides between two versions of a measurement, as the time of its
packet, or that LSST has withdrawn it. So each object has one row and one light curve, by the same
rules as `archive.lightcurve`.

Only nights whose generation has all their alerts are taken, as of one position in the ledger. So
the rows of `alerts` are those of the nights together.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from catalogs.nights.build import LEAF_ROWS, OBJECT_LEAF_ROWS
from catalogs.nights.collection import CollectionRequest, build_collection
from catalogs.nights.generation import ALL, Committed, Plan, read_committed
from catalogs.nights.index import NightFacts, NightIndex
from catalogs.nights.layout import all_folder, nights_folder
from catalogs.nights.steps import Steps
from finkray.errors import NightError
from finkray.ledger.follow import Position
from finkray.storage.contract import Storage
from finkray.views.fold import unmarked

EVERY: Final = timedelta(days=7)
"""How often `finkray start hats` consolidates: it costs as much as all nights have cost."""


@dataclass(frozen=True, slots=True)
class AllNights:
    """The nights of a survey that can be consolidated.

    Attributes
    ----------
    survey
        its name
    facts
        by night, what the ledger holds of it
    built
        by night, the generation that has all of it
    left_out
        nights with alerts that no generation has
    """

    survey: str
    facts: dict[date, NightFacts]
    built: dict[date, Committed]
    left_out: tuple[date, ...]

    @property
    def cursor(self) -> str:
        """What stands for the nights and their alerts; another one when any has changed."""
        lines = (f"{night} {self.facts[night].cursor}" for night in sorted(self.built))
        return f"all:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:32]}"

    @property
    def together(self) -> NightFacts:
        """What the ledger holds of the nights together."""
        facts = [self.facts[night] for night in self.built]
        last = max(facts, key=lambda each: Position.from_cursor(unmarked(each.cursor)[0]).seq)
        return NightFacts(set().union(*(each.folders for each in facts)), last.cursor)

    def is_due(self, current: Committed | None, now: datetime) -> bool:
        """Return whether they have changed and the last consolidation is `EVERY` ago.

        The first one is due that long after the first night was built.
        """
        if not self.built or (current is not None and current.is_of(self.cursor)):
            return False
        first = min(each.built_at for each in self.built.values())
        return now - (first if current is None else current.built_at) >= EVERY


def find_all(storage: Storage, index: NightIndex) -> list[AllNights]:
    """Return the nights that can be consolidated, by survey.

    Raises
    ------
    NightError
        if the file that names a generation is damaged
    """
    return [_of_survey(storage, index, survey) for survey in sorted({s for s, _ in index.nights})]


def consolidate(
    storage: Storage,
    nights: AllNights,
    steps: Steps,
    *,
    scratch: Path | None = None,
    leaf_rows: int = LEAF_ROWS,
    object_leaf_rows: int | None = None,
) -> Committed:
    """Build a generation of the collection of all nights; return the one there is if none changed.

    Parameters
    ----------
    storage
        of the archive
    nights
        of `find_all`
    steps, scratch, leaf_rows, object_leaf_rows
        as for a night

    Raises
    ------
    NightError
        if no night is built; and as `build_collection`
    BuildStopped, StorageError
        as `build_collection`
    """
    if not nights.built:
        raise NightError(
            f"no night of {nights.survey} is built with all its alerts: build nights first, "
            "finkray hats build --night D"
        )
    objects = object_leaf_rows or OBJECT_LEAF_ROWS[nights.survey]
    request = CollectionRequest(
        folder=all_folder(storage, nights.survey),
        nights=frozenset(nights.built),
        facts=nights.together,
        plan=Plan(nights.survey, ALL, nights.cursor, leaf_rows, objects),
        narrow=False,
        scratch=scratch,
    )
    return build_collection(storage, request, steps)


def _of_survey(storage: Storage, index: NightIndex, survey: str) -> AllNights:
    root = nights_folder(storage, survey)
    facts = {night: of for (name, night), of in index.nights.items() if name == survey}
    built = {}
    for night, of_night in facts.items():
        committed = read_committed(storage, f"{root}/{night.isoformat()}")
        if committed is not None and committed.is_of(of_night.cursor):
            built[night] = committed
    return AllNights(survey, facts, built, tuple(sorted(set(facts) - set(built))))
