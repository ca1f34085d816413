"""Sources of all pages, without an archive; a test replaces those that it is about."""

from pathlib import Path

from finkray.storage.local import LocalStorage
from ui.lookups.process import Lookups
from ui.sources import (
    AT_REST,
    CLASS_COUNTS,
    CLASS_LISTS,
    ENDED_JOBS,
    LAST_AUDIT,
    LOOKUPS,
    SERVICES,
    SQL,
    STATUS,
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
        .poll(CLASS_COUNTS, lambda: ())
        .provide(CLASS_LISTS, lambda *_: ())
        .provide(LOOKUPS, Lookups(nowhere))
        .provide(SQL, Lookups(nowhere))
        .provide(LAST_AUDIT, lambda: None)
    )
