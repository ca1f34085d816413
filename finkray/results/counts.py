"""Count the alerts of each class, night by night: a fold of the ledger of a folder of results.

It works for the results of any service with a text column `class`. If they also have the column
`checked`, as those of `actors.classes`, the answers of catalogues are counted too. One file in the
folder has the counts and the position in the ledger. Both change in one step, so each file of
results is counted once, even after a crash, and the next process continues from there. Without the
file all is counted again, to the same numbers.

Rows are counted: an alert that came twice counts twice.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from finkray.ledger.follow import Durable
from finkray.results.folds import StoreFolds
from finkray.results.store import ResultsStore, list_stores
from finkray.storage.contract import Storage
from finkray.views.fold import Fold, StoredState, read_stored_state

COUNTS_PATH = "counts.json"
CLASS_COLUMN = "class"
CHECKED_COLUMN = "checked"

NO_NIGHT = "no night"
"""Stands for the night of alerts without a time of observation."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CatalogUse(_Fact):
    """What a version of a catalogue answered in a night."""

    catalog: str
    version: str
    alerts: dict[str, int] = Field(description="how many, by status: match, none, not_checked")


class NightCounts(_Fact):
    """One observing night."""

    night: str = Field(description="the date of its evening, as obs_night has it")
    classes: dict[str, int] = Field(description="alerts by class; of those without, by status")
    catalogs: tuple[CatalogUse, ...] = ()
    hours: tuple[str, ...] = Field((), description="UTC hours of arrival whose folders have some")

    @property
    def alerts(self) -> int:
        """Number of alerts of the night."""
        return sum(self.classes.values())


class ClassCounts(_Fact):
    """The counts of one folder of results, the newest night first. Times are UTC."""

    format: int = 1
    name: str
    version: str
    at: datetime = Field(description="when they were last brought up to date")
    cursor: str = Field(description="how far the ledger is counted")
    alerts: int = Field(description="all that are counted")
    nights: tuple[NightCounts, ...] = ()

    @property
    def latest(self) -> NightCounts | None:
        """The night whose alerts arrived last: a date alone may be absurd."""
        return max(self.nights, key=lambda night: (night.hours[:1], night.alerts), default=None)

    def night(self, night: str) -> NightCounts | None:
        """Return the night of a date, if there is one."""
        return next((counts for counts in self.nights if counts.night == night), None)


class ClassCounter(Fold[ClassCounts]):
    """Count one folder of results by class and night, and follow what is new in it.

    Parameters
    ----------
    store
        the results
    """

    def __init__(self, store: ResultsStore) -> None:
        self._store = store
        super().__init__(store.storage, COUNTS_PATH, f"results of {store.name}/{store.version}")

    @staticmethod
    def parse(data: bytes) -> StoredState[ClassCounts]:
        """Return counts as they were written down."""
        counts = ClassCounts.model_validate_json(data)
        return StoredState(counts, counts.cursor)

    def restore(self, state: ClassCounts | None) -> None:
        """Begin with counts that were written down, or with none."""
        nights = () if state is None else state.nights
        self._nights = {counts.night: _Night.of(counts) for counts in nights}

    def add(self, durable: Durable) -> None:
        """Count the alerts of a file."""
        columns = ["obs_night", "status", CLASS_COLUMN]
        columns += [CHECKED_COLUMN] if _has_catalog_answers(self._store.about.output) else []
        with self.storage.open(durable.path) as source:
            table = pq.read_table(source, columns=columns, partitioning=None)
        nights = pc.coalesce(table["obs_night"].cast(pa.string()), NO_NIGHT)
        classes = pc.coalesce(table[CLASS_COLUMN], table["status"])
        answers = _checked(nights, table[CHECKED_COLUMN]) if CHECKED_COLUMN in columns else {}
        hour = str(durable.file.hour_utc)
        # Nothing below can fail: a file is counted or not at all.
        for (night, name), alerts in _counted({"night": nights, "class": classes}).items():
            self._nights.setdefault(night, _Night(night)).add(name, alerts, hour)
        for (night, catalog, version, status), alerts in answers.items():
            self._nights[night].add_answers(catalog, version, status, alerts)

    def dump(self, cursor: str) -> bytes:
        """Return the counts as the file holds them."""
        return self._counts(cursor).model_dump_json().encode()

    def counts(self) -> ClassCounts:
        """Return the counts as they are now."""
        return self._counts(self.cursor)

    def _counts(self, cursor: str) -> ClassCounts:
        nights = tuple(self._nights[night].counts() for night in sorted(self._nights, reverse=True))
        return ClassCounts(
            name=self._store.name,
            version=self._store.version,
            at=self.caught_up_at,
            cursor=cursor,
            alerts=sum(counts.alerts for counts in nights),
            nights=nights,
        )


class _Night:
    """The counts of a night, as they grow."""

    def __init__(self, night: str) -> None:
        self._night = night
        self._classes: Counter[str] = Counter()
        self._catalogs: dict[tuple[str, str], Counter[str]] = {}
        self._hours: set[str] = set()
        self._counts: NightCounts | None = None

    @classmethod
    def of(cls, kept: NightCounts) -> "_Night":
        """Make a night of the counts that were written down."""
        night = cls(kept.night)
        night._classes.update(kept.classes)
        night._catalogs = {(use.catalog, use.version): Counter(use.alerts) for use in kept.catalogs}
        night._hours = set(kept.hours)
        return night

    def add(self, name: str, alerts: int, hour: str) -> None:
        """Add alerts of a class that arrived in an hour."""
        self._classes[name] += alerts
        self._hours.add(hour)
        self._counts = None

    def add_answers(self, catalog: str, version: str, status: str, alerts: int) -> None:
        """Add alerts for which a version of a catalogue gave an answer."""
        self._catalogs.setdefault((catalog, version), Counter())[status] += alerts
        self._counts = None

    def counts(self) -> NightCounts:
        """Return the counts as they are now; those of a night that is over are made once."""
        if self._counts is None:
            largest_first = sorted(self._classes.items(), key=lambda item: (-item[1], item[0]))
            self._counts = NightCounts(
                night=self._night,
                classes=dict(largest_first),
                catalogs=tuple(
                    CatalogUse(catalog=catalog, version=version, alerts=dict(sorted(n.items())))
                    for (catalog, version), n in sorted(self._catalogs.items())
                ),
                hours=tuple(sorted(self._hours, reverse=True)),
            )
        return self._counts


class ClassCounters(StoreFolds[ClassCounter]):
    """Count all results of an archive that have classes.

    Parameters
    ----------
    archive
        where the alerts are, and the results beside them
    """

    def __init__(self, archive: Storage) -> None:
        super().__init__("counting", lambda: classified_stores(archive), ClassCounter)

    def counts(self) -> tuple[ClassCounts, ...]:
        """Return the counts of all folders, by name and version."""
        return tuple(self.folds[key].counts() for key in sorted(self.folds))


def classified_stores(archive: Storage) -> Iterator[ResultsStore]:
    """Yield the results that have a text column `class`."""
    for store in list_stores(archive):
        output = store.about.output
        index = output.get_field_index(CLASS_COLUMN)
        if index >= 0 and pa.types.is_string(output.field(index).type):
            yield store


def read_counts(store: ResultsStore) -> ClassCounts | None:
    """Return the counts that were written down; None if there are none of this ledger."""
    kept = read_stored_state(store.storage, COUNTS_PATH, ClassCounter.parse)
    return None if kept is None else kept.state


def _has_catalog_answers(output: pa.Schema) -> bool:
    """Return whether `checked` lists answers of catalogues: other services may use the name."""
    index = output.get_field_index(CHECKED_COLUMN)
    checked = output.field(index).type if index >= 0 else pa.null()
    if not pa.types.is_list(checked) or not pa.types.is_struct(checked.value_type):
        return False
    return {"catalog", "version", "status"} <= {field.name for field in checked.value_type}


def _counted(columns: dict[str, pa.ChunkedArray]) -> dict[tuple[str, ...], int]:
    """Return how many rows have the same values in all columns, by these values."""
    grouped = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    keys = zip(*(grouped[name].to_pylist() for name in columns), strict=True)
    return dict(zip(keys, grouped["count_all"].to_pylist(), strict=True))


def _checked(nights: pa.ChunkedArray, checked: pa.ChunkedArray) -> dict[tuple[str, ...], int]:
    """Return how often each version of a catalogue gave each answer, by night."""
    answers = pa.concat_arrays(checked.chunks) if checked.num_chunks else None
    if answers is None or not len(flat := pc.list_flatten(answers)):
        return {}
    names = ("catalog", "version", "status")
    fields = {name: pc.coalesce(pc.struct_field(flat, name), "unknown") for name in names}
    return _counted({"night": nights.take(pc.list_parent_indices(answers)), **fields})
