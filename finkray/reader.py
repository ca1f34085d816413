"""An archive as readers see it. Any number of them, at any time, beside the one that writes."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as pads

from finkray.dataset import make_dataset
from finkray.errors import StorageError
from finkray.follow import Durable, Follower, Position
from finkray.hours import Span, utc
from finkray.ledger_claims import read_claims
from finkray.storage import Storage
from finkray.storage_open import folder_of, open_storage

if TYPE_CHECKING:
    from finkray.audit import KafkaView
    from finkray.audit_report import AuditReport

Moment = datetime | str


class Archive:
    """A Parquet database of alerts; see `open_archive`.

    Parameters
    ----------
    storage
        where it lies
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __repr__(self) -> str:
        return f"open_archive({self._storage.uri!r})"

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self._storage.uri

    def dataset(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
    ) -> pads.Dataset:
        """The alerts, as a pyarrow dataset over the files that are there now.

        It has the columns of all schema versions, with nulls where a version lacks one, those
        of nested records too, and `topic`, `year`, `month`, `day`, `hour` from the folders.

        Parameters
        ----------
        start, end
            UTC times of arrival in Kafka, from `start` up to, not including, `end`: a
            datetime, or ISO 8601 as ``2026-11-24T01:30``. Where both fall on whole hours, all
            rows filed under these hours are given, also those without a usable Kafka timestamp.
        topic
            name of a topic, or several names; None is all

        Raises
        ------
        ValueError
            if a time is no time, or the types of two topics' columns cannot be made one
        """
        span = Span(None if start is None else utc(start), None if end is None else utc(end))
        topics = None if topic is None else frozenset([topic] if isinstance(topic, str) else topic)
        return make_dataset(self._storage, span, topics)

    def ledger(self) -> pa.Table:
        """One row for each claim: what became of which offsets, in order of commit.

        Columns: `seq`, `epoch`, `kind` and `at` of the ledger's entry; `cluster_id`, `topic`,
        `topic_id`, `partition`, `first_offset`, `last_offset` of the claim; the sums
        `archived`, `dead_lettered`, `expired`, `not_delivered`; `files`, `dead_letter_files`,
        `dead_letters_by_reason`, `gaps`, and `remade`.

        Raises
        ------
        LedgerCorrupt
            if an entry is missing or unreadable
        """
        return read_claims(self._storage)

    def follow(self, cursor: str | None = None, wait_s: float | None = None) -> Iterator[Durable]:
        """New files of alerts, each once, in the order in which their claims were committed.

        A file is given only when it is published. Keep the cursor of the last one together
        with what you made of it: given again, it continues after that file.

        Parameters
        ----------
        cursor
            of the last file that is done with; None begins with the first of all
        wait_s
            ends when nothing new came for so many seconds; 0 ends where there is nothing
            more now, None waits for ever

        Raises
        ------
        ValueError
            if the cursor is none
        LedgerCorrupt
            if an entry is missing or unreadable
        """
        at = Position() if cursor is None else Position.from_cursor(cursor)
        return Follower(self._storage, at).follow(wait_s)

    def audit(
        self,
        kafka: "KafkaView | None" = None,
        *,
        wants: Callable[[str], bool] | None = None,
        deep: str | None = None,
    ) -> "AuditReport":
        """Whether every offset is accounted for, once; see `finkray.audit.audit`."""
        from finkray.audit import audit

        return audit(self._storage, kafka, wants=wants, deep=deep)


def open_archive(uri: str | Path) -> Archive:
    """Open an archive for reading.

    Parameters
    ----------
    uri
        its folder, or ``file:///folder``

    Raises
    ------
    StorageError
        if there is no such folder
    ValueError
        if the URI is of a kind that is not supported
    """
    folder = folder_of(str(uri))
    if not folder.is_dir():
        raise StorageError(f"there is no archive at {folder}: no such folder")
    return Archive(open_storage(str(uri)))
