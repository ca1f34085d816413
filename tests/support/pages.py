"""Sources of all pages, without an archive; a test replaces those that it is about."""

from pathlib import Path

from finkray.settings.model import Settings
from finkray.storage.local import LocalStorage
from jobs.daemons.page_operations import PageOperations
from ui.lookups.process import Lookups
from ui.sources import (
    AT_REST,
    CLASS_COUNTS,
    CLASS_LISTS,
    ENDED_JOBS,
    FILTER_OPERATIONS,
    LAST_AUDIT,
    LOOKUPS,
    SERVICES,
    SQL,
    STATUS,
    STREAMOUT,
    Sources,
)


def empty_sources() -> Sources:
    """Return sources that have nothing."""
    nowhere = LocalStorage(Path("no-archive"))
    return (
        Sources()
        .poll(STATUS, lambda: None)
        .poll(AT_REST, lambda: None)
        .poll(ENDED_JOBS, lambda: ())
        .poll(SERVICES, lambda: ())
        .poll(STREAMOUT, lambda: None)
        .poll(CLASS_COUNTS, lambda: ())
        .provide(CLASS_LISTS, lambda *_: ())
        .provide(LOOKUPS, Lookups(nowhere))
        .provide(SQL, Lookups(nowhere))
        .provide(LAST_AUDIT, lambda: None)
        .provide(FILTER_OPERATIONS, PageOperations(Settings(), nowhere))
    )
