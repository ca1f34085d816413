"""Which folders of the archive have alerts of which observing night: a fold of the ledger.

Alerts are filed by the hour of their arrival, so a night's alerts lie in some twenty folders of
hours, and in others if they came late. This view says in which, so that a build opens the files
of its night alone. Reading it costs the footer of each file once; the column `obs_night` is read
only of a file that has several nights.
"""

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalogs.nights.layout import INDEX_PATH
from catalogs.nights.steps import Steps
from finkray.ledger.follow import Durable, Position
from finkray.storage.contract import Storage
from finkray.surveys import SURVEYS
from finkray.views.fold import Fold, StoredState, marked, unmarked

FILES: Final = 500
"""Files between two writings of the view, and two looks for a request to stop."""

_FORMAT: Final = 1
_COLUMN: Final = "obs_night"


@dataclass(slots=True)
class NightFacts:
    """What the ledger holds of one night of one survey.

    Attributes
    ----------
    folders
        folders of hours that have alerts of the night
    cursor
        of the ledger, after the last file with alerts of the night, with its mark: it changes when
        more come, or the ledger is rebuilt
    """

    folders: set[str] = field(default_factory=set)
    cursor: str = ""

    @property
    def through_entry(self) -> int:
        """Number of the last ledger entry with alerts of the night."""
        at = Position.from_cursor(unmarked(self.cursor)[0])
        return at.seq if at.files else at.seq - 1


Nights = dict[tuple[str, date], NightFacts]
"""The facts of nights, by name of the survey and date."""


class NightIndex(Fold[Nights]):
    """Find the nights of an archive, and follow what is new.

    Parameters
    ----------
    storage
        of the archive

    Attributes
    ----------
    nights
        what is known of each night
    changed
        nights of the files that were added since it was last cleared
    """

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, INDEX_PATH, "the nights of the archive")

    @staticmethod
    def parse(data: bytes) -> StoredState[Nights]:
        """Return what `dump` wrote."""
        try:
            raw = json.loads(data)
            if raw["format"] != _FORMAT:
                raise ValueError(f"format {raw['format']}")
            nights = {
                (night["survey"], date.fromisoformat(night["night"])): NightFacts(
                    set(night["folders"]), night["cursor"]
                )
                for night in raw["nights"]
            }
            return StoredState(nights, raw["cursor"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the nights of an archive: {error}") from error

    def restore(self, state: Nights | None) -> None:
        """Begin with nights that were kept, or with none."""
        self.nights: Nights = {} if state is None else state
        self.changed: set[tuple[str, date]] = set()

    def add(self, durable: Durable) -> None:
        """Add the nights of a file."""
        with self.storage.open(durable.path) as source, pq.ParquetFile(source) as file:
            survey = survey_of(file.schema_arrow)
            nights = _nights_of(file) if survey else set()
        folder = durable.path.rpartition("/")[0]
        for night in nights:
            facts = self.nights.setdefault((str(survey), night), NightFacts())
            facts.folders.add(folder)
            facts.cursor = marked(durable.cursor, durable.mark)
            self.changed.add((str(survey), night))

    def dump(self, cursor: str) -> bytes:
        """Return nights and cursor as the file holds them."""
        nights: list[dict[str, Any]] = [
            {
                "survey": survey,
                "night": night.isoformat(),
                "cursor": facts.cursor,
                "folders": sorted(facts.folders),
            }
            for (survey, night), facts in sorted(self.nights.items())
        ]
        return json.dumps({"format": _FORMAT, "cursor": cursor, "nights": nights}).encode()

    def update(self, steps: Steps) -> None:
        """Add all that is new, and keep it.

        Parameters
        ----------
        steps
            called after each `FILES` files; what was added until then is kept
        """
        files = 0
        while done := self.catch_up(FILES):
            files += done
            self.keep()
            steps.tell(f"looked for nights in {files:,} files")
            steps.go_on()
            if done < FILES:
                return


def survey_of(schema: pa.Schema) -> str | None:
    """Return the survey whose alerts a file has, by its columns; None if it is of none."""
    fitting = [name for name, survey in SURVEYS.items() if not survey.missing(schema)]
    return fitting[-1] if fitting else None


def _nights_of(file: pq.ParquetFile) -> set[date]:
    # Records come later in a file; a flat column's leaf has its own name as path.
    leaves = range(len(file.schema))
    at = next((n for n in leaves if file.schema.column(n).path == _COLUMN), None)
    if at is None:
        return set()
    nights: set[date] = set()
    for group in range(file.num_row_groups):
        stats = file.metadata.row_group(group).column(at).statistics
        if stats is None or not stats.has_min_max or stats.min != stats.max:
            values = file.read_row_group(group, columns=[_COLUMN])[_COLUMN]
            nights.update(pc.unique(values.drop_null()).to_pylist())
        else:
            nights.add(stats.min)
    return nights
