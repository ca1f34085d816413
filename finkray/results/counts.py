"""How many alerts are of which class, night by night: folded from the ledger of a science store.

It is for results with a text column `class`, whoever's they are; where they also have `checked`, as
`actors.classes` has, the catalogues are counted too. One file in the store's folder has the
counts and how far the ledger is counted. Both change in one step, so each file of results is
counted once, whatever crashes, and whoever starts goes on from there. Without the file everything
is counted anew, to the same numbers.

Rows are counted: an alert that came twice counts twice.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finkray.errors import FinkrayError, StorageError
from finkray.ledger.follow import Durable, Follower, Position
from finkray.ledger.read import read_state
from finkray.results.store import ResultsStore, list_stores
from finkray.storage.contract import Storage

COUNTS_PATH = "counts.json"
CLASS_COLUMN = "class"
CHECKED_COLUMN = "checked"

NO_NIGHT = "no night"
"""Of alerts that do not say when they were."""

log = logging.getLogger(__name__)


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
        """All of the night."""
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
        """The night of which alerts came last; the date alone may be absurd."""
        return max(self.nights, key=lambda one: (one.hours[:1], one.alerts), default=None)

    def night(self, night: str) -> NightCounts | None:
        """That of a date, if there is one."""
        return next((one for one in self.nights if one.night == night), None)


class ClassCounter:
    """Counts one folder of results, and keeps pace with it.

    Parameters
    ----------
    store
        the results
    """

    def __init__(self, store: ResultsStore) -> None:
        self._store = store
        self._nights: dict[str, _Night] = {}
        self._at = datetime.now(UTC)
        kept = read_counts(store)
        for one in () if kept is None else kept.nights:
            self._nights[one.night] = _Night.of(one)
        self._cursor = Position().to_cursor() if kept is None else kept.cursor
        self._follower = self._follow()

    def catch_up(self, files: int) -> int:
        """Count what is new, so many files at most; returns how many there were.

        Raises
        ------
        StorageError
            if a file cannot be read now; it is tried again the next time
        """
        done = 0
        try:
            for durable in self._follower.follow(wait_s=0):
                self._count(durable)
                self._cursor = durable.cursor
                done += 1
                if done == files:
                    break
        except (OSError, pa.ArrowException) as error:
            self._follower = self._follow()
            raise StorageError(f"results of {self._store.name} are not counted: {error}") from error
        self._at = datetime.now(UTC)
        return done

    def counts(self) -> ClassCounts:
        """As they are now."""
        nights = tuple(self._nights[night].counts() for night in sorted(self._nights, reverse=True))
        return ClassCounts(
            name=self._store.name,
            version=self._store.version,
            at=self._at,
            cursor=self._cursor,
            alerts=sum(one.alerts for one in nights),
            nights=nights,
        )

    def keep(self) -> None:
        """Write the counts down, for others and for the next start."""
        data = self.counts().model_dump_json().encode()
        self._store.storage.replace(COUNTS_PATH, data)

    def _follow(self) -> Follower:
        return Follower(self._store.storage, Position.from_cursor(self._cursor))

    def _count(self, durable: Durable) -> None:
        columns = ["obs_night", "status", CLASS_COLUMN]
        columns += [CHECKED_COLUMN] if _says_what_was_asked(self._store.about.output) else []
        with self._store.storage.open(durable.path) as source:
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
        """As it was written down."""
        one = cls(kept.night)
        one._classes.update(kept.classes)
        one._catalogs = {(use.catalog, use.version): Counter(use.alerts) for use in kept.catalogs}
        one._hours = set(kept.hours)
        return one

    def add(self, name: str, alerts: int, hour: str) -> None:
        """Alerts of a class that came in an hour."""
        self._classes[name] += alerts
        self._hours.add(hour)
        self._counts = None

    def add_answers(self, catalog: str, version: str, status: str, alerts: int) -> None:
        """Alerts about which a catalogue answered so."""
        self._catalogs.setdefault((catalog, version), Counter())[status] += alerts
        self._counts = None

    def counts(self) -> NightCounts:
        """As they are now; most nights are over, and are worked out once."""
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


class ClassCounters:
    """The counters of all results of an archive that have classes.

    Parameters
    ----------
    archive
        where the alerts are, and the results beside them
    """

    def __init__(self, archive: Storage) -> None:
        self._archive = archive
        self._counters: dict[tuple[str, str], ClassCounter] = {}
        self._problems: dict[tuple[str, str], str] = {}

    def refresh(self, files: int) -> dict[tuple[str, str], int]:
        """Count what is new, so many files of each folder at most: how many there were, by folder.

        A folder that cannot be read now does not hold the others.

        Raises
        ------
        StorageError, ServiceError
            if it cannot be told which folders there are
        """
        there = {(one.name, one.version): one for one in classified_stores(self._archive)}
        self._counters = {key: one for key, one in self._counters.items() if key in there}
        done = {}
        for key, store in there.items():
            try:
                if key not in self._counters:
                    self._counters[key] = ClassCounter(store)
                done[key] = self._counters[key].catch_up(files)
                self._problems.pop(key, None)
            except FinkrayError as error:
                if self._problems.get(key) != str(error):  # once, not each second
                    log.warning("%s", error)
                self._problems[key] = str(error)
        return done

    def keep(self, key: tuple[str, str]) -> None:
        """Write the counts of a folder down."""
        self._counters[key].keep()

    def counts(self) -> tuple[ClassCounts, ...]:
        """Of all folders, by name and version."""
        return tuple(self._counters[key].counts() for key in sorted(self._counters))


def classified_stores(archive: Storage) -> Iterator[ResultsStore]:
    """The results that say of which class alerts are."""
    for store in list_stores(archive):
        place = store.about.output.get_field_index(CLASS_COLUMN)
        if place >= 0 and pa.types.is_string(store.about.output.field(place).type):
            yield store


def read_counts(store: ResultsStore) -> ClassCounts | None:
    """The counts that were written down; None if they are not of this ledger, or there are none."""
    data = store.storage.read(COUNTS_PATH)
    if data is None:
        return None
    try:
        counts = ClassCounts.model_validate_json(data)
        seq = Position.from_cursor(counts.cursor).seq
    except (ValidationError, ValueError):
        log.warning("%s of %s is not readable, and made anew", COUNTS_PATH, store.name)
        return None
    return counts if seq <= read_state(store.storage).state.last_seq + 1 else None


def _says_what_was_asked(output: pa.Schema) -> bool:
    """Whether `checked` is a list of answers of catalogues; somebody may call other things so."""
    place = output.get_field_index(CHECKED_COLUMN)
    kind = output.field(place).type if place >= 0 else pa.null()
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return False
    return {"catalog", "version", "status"} <= {field.name for field in kind.value_type}


def _counted(columns: dict[str, pa.ChunkedArray]) -> dict[tuple[str, ...], int]:
    """How many rows have the same values in all columns."""
    found = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    keys = zip(*(found[name].to_pylist() for name in columns), strict=True)
    return dict(zip(keys, found["count_all"].to_pylist(), strict=True))


def _checked(nights: pa.ChunkedArray, checked: pa.ChunkedArray) -> dict[tuple[str, ...], int]:
    """How often which version of a catalogue gave which answer, by night."""
    answers = pa.concat_arrays(checked.chunks) if checked.num_chunks else None
    if answers is None or not len(flat := pc.list_flatten(answers)):
        return {}
    names = ("catalog", "version", "status")
    fields = {name: pc.coalesce(pc.struct_field(flat, name), "unknown") for name in names}
    return _counted({"night": nights.take(pc.list_parent_indices(answers)), **fields})
