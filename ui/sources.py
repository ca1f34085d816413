"""What pages read: a typed key for each source, and the table that maps keys to functions.

A page names the keys that it needs (`ui.kit.page.Page`); the process that serves the pages
provides a function for each (`jobs.daemons.page`). A test provides the keys of its page alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, Self, TypeAlias, TypeVar

from finkray.outliers.thumb_log import ThumbLog
from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts, NightCounts
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.last_audit import LastAudit
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import StreamoutSnapshot
from ui.kit.elements import AlarmCard
from ui.lookups.process import Lookups
from ui.operators import FilterOperations

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Polled(Generic[T]):
    """Key of a source that one background thread reads again and again."""

    name: str


@dataclass(frozen=True, slots=True)
class OnDemand(Generic[T]):
    """Key of a function of type T that a page calls when a viewer needs it."""

    name: str


Key: TypeAlias = Polled[Any] | OnDemand[Any]


class ClassLists(Protocol):
    """The function that reads the newest alerts of a class in a night."""

    def __call__(
        self, counts: ClassCounts, night: NightCounts, name: str
    ) -> tuple[ClassifiedAlert, ...]:
        """Return them, the newest first."""


STATUS: Final[Polled[Snapshot]] = Polled("status")
"""The archive's newest snapshot; None when no archive has reported yet."""

AT_REST: Final[Polled[ArchiveAtRest]] = Polled("archive at rest")
"""How the archive is of which no process reports; None while one does."""

ENDED_JOBS: Final[Polled[tuple[AlarmCard, ...]]] = Polled("jobs that ended")
"""Jobs that ended without being stopped, until they are stopped or started again."""

SERVICES: Final[Polled[tuple[ServiceSnapshot, ...]]] = Polled("services")
"""The snapshots of the services that run."""

STREAMOUT: Final[Polled[StreamoutSnapshot]] = Polled("streaming out")
"""The newest snapshot of streaming out; None when none has come."""

FILTER_OPERATIONS: Final[OnDemand[FilterOperations]] = OnDemand("filter operations")
"""The operations of operators on filters."""

CLASS_COUNTS: Final[Polled[tuple[ClassCounts, ...]]] = Polled("classes")
"""Counts by class and night, of all results that have classes."""

CLASS_LISTS: Final[OnDemand[ClassLists]] = OnDemand("class lists")
"""The alerts behind a count."""


LOOKUPS: Final[OnDemand[Lookups]] = OnDemand("look-ups")
"""The process that looks into the archive."""

SQL: Final[OnDemand[Lookups]] = OnDemand("SQL")
"""The process that runs queries of users, with its own limits: see `ui.lookups.sql`."""

AuditOf: TypeAlias = Callable[[], LastAudit | None]

LAST_AUDIT: Final[OnDemand[AuditOf]] = OnDemand("last audit")
"""The function that returns the result of the archive's last audit; None if none is known."""


THUMBS: Final[OnDemand[ThumbLog]] = OnDemand("thumbs")
"""The log of what users think of outliers."""


class Sources:
    """The functions behind the keys. Each may be slow and may raise."""

    def __init__(self) -> None:
        self._polled: dict[Polled[Any], Callable[[], Any]] = {}
        self._on_demand: dict[OnDemand[Any], Any] = {}

    def poll(self, key: Polled[T], read: Callable[[], T | None]) -> Self:
        """Provide a source; one thread alone calls `read`."""
        self._polled[key] = read
        return self

    def provide(self, key: OnDemand[T], function: T) -> Self:
        """Provide a function; several threads may call it at once."""
        self._on_demand[key] = function
        return self

    def missing(self, keys: tuple[Key, ...]) -> tuple[str, ...]:
        """Return the names of those keys that nothing was provided for."""
        there = self._polled.keys() | self._on_demand.keys()
        return tuple(key.name for key in keys if key not in there)

    def read_of(self, key: Polled[T]) -> Callable[[], T | None]:
        """Return the function that reads a source."""
        return self._polled[key]

    def function_of(self, key: OnDemand[T]) -> T:
        """Return the function behind a key."""
        found: T = self._on_demand[key]
        return found
