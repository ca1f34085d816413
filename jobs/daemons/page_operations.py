"""Check, publish, pause, resume and retire filters, for operators on the page."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finkray.errors import FilterError
from finkray.reader import Archive
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from ui.lookups.process import Lookups
from ui.operators import FilterDraft

if TYPE_CHECKING:
    from finkray.streamout.published import PublishedFilter, State

TIMEOUT_S: Final = 180.0
"""Loading a filter may take `streamout.load_s`; judging the newest alerts is added to that."""


class PageOperations:
    """Changes the published filters of an archive.

    A filter is checked and published in a process of its own, so that it cannot end the page.

    Parameters
    ----------
    settings
        settings with the operators, and with the Kafka that has the topics of filters
    storage
        of the archive
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage

    @property
    def operators(self) -> frozenset[str]:
        """Names of the users who may change filters."""
        return frozenset(self._settings.ui.operators)

    def published(self) -> "tuple[PublishedFilter, ...]":
        """Return the published filters, by name.

        Raises
        ------
        FinkrayError
            If the filters cannot be read.
        """
        from finkray.streamout.published import FilterStore

        return tuple(FilterStore(self._storage).all())

    def check(self, draft: FilterDraft) -> str:
        """Return what a filter reads and how many of the last alerts pass; publish nothing.

        Raises
        ------
        FinkrayError
            If anything is wrong with the filter.
        """
        return self._in_own_process("check", draft)

    def publish(self, draft: FilterDraft) -> str:
        """Publish a filter, or a new version of one; return what was published.

        Raises
        ------
        FinkrayError
            If anything is wrong with the filter, or Kafka does not answer.
        """
        return self._in_own_process("publish", draft)

    def set_state(self, name: str, state: "State") -> str:
        """Pause, resume or retire a filter; return what was done.

        Raises
        ------
        FinkrayError
            If there is no such filter, or it is retired.
        """
        from finkray.streamout.published import FilterStore

        found = FilterStore(self._storage).set_state(name, state)
        return f"{found.name} is {found.state}"

    def _in_own_process(self, what: str, draft: FilterDraft) -> str:
        from finkray.streamout.filter_file import filter_of_text

        filter_of_text(draft.file_name, draft.text)  # refuses a file name with a folder in it
        process = Lookups(self._storage, TIMEOUT_S)
        try:
            return process.ask(operate, self._settings, what, draft)
        finally:
            process.close()  # it holds 200 MB of libraries, and is rarely needed


def operate(_: Archive, settings: Settings, what: str, draft: FilterDraft) -> str:
    """Check or publish a filter; `PageOperations` runs this function in a process of its own.

    Raises
    ------
    FilterError
        If anything is wrong with the filter.
    """
    from finkray.streamout.checking import checked_filter
    from finkray.streamout.filter_process import FilterPool, limits_of
    from finkray.streamout.projection import Projection
    from finkray.streamout.publishing import publish_filter
    from finkray.streamout.wire import Wire
    from jobs.cluster.streamout_kafka import streamout_kafka

    if draft.wire not in [each.value for each in Wire]:
        raise FilterError(f"wire {draft.wire!r}: expected confluent or fink")
    storage = archive_of(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / draft.file_name
        path.write_text(draft.text, encoding="utf-8")
        if what == "check":
            found = checked_filter(storage, settings.streamout, path)
            found.refuse_failure()
            return "\n".join(found.lines(settings.streamout))
        with FilterPool(limits_of(settings.streamout)) as pool:
            published = publish_filter(
                storage,
                streamout_kafka(settings),
                settings.streamout,
                pool,
                path,
                topic=draft.topic,
                projection=Projection.from_text(draft.projection),
                wire=Wire(draft.wire),
            )
    return f"{published.name} {published.definition.version} is published to {published.topic}"
