"""The alerts, results and ledger of an archive."""

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, overload

import pyarrow as pa
import pyarrow.dataset as pads

from finkray.ledger.claims import read_claims
from finkray.ledger.follow import Durable, Follower, Position
from finkray.reader.curves import CurveReader
from finkray.reader.outliers import OutlierReader
from finkray.storage.contract import Storage
from finkray.storage.dataset import dataset_of_files, open_dataset, select_files
from finkray.storage.hours import Moment, Span, utc

if TYPE_CHECKING:
    from finkray.audit.audit import KafkaView
    from finkray.audit.report import AuditReport
    from finkray.results.joined import JoinedDataset


class Archive(CurveReader, OutlierReader):
    """A Parquet database of alerts; see `open_archive`.

    Parameters
    ----------
    storage
        of the archive
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __repr__(self) -> str:
        return f"open_archive({self._storage.uri!r})"

    @property
    def uri(self) -> str:
        """Absolute URI of the archive."""
        return self._storage.uri

    @overload
    def dataset(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
    ) -> pads.Dataset: ...

    @overload
    def dataset(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
        *,
        with_services: Collection[str],
    ) -> "JoinedDataset": ...

    def dataset(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
        *,
        with_services: Collection[str] = (),
    ) -> "pads.Dataset | JoinedDataset":
        """Return the alerts as a pyarrow dataset over the files that exist now.

        It has the columns of all schema versions, also those of nested records, with nulls where
        a version lacks one, and `topic`, `year`, `month`, `day`, `hour` from the folders. Columns
        without images and lists are read from the nights that `finkray hats` has built, where these
        have all alerts of the files; the rows are the same, in any order.

        Parameters
        ----------
        start, end
            UTC times of arrival in Kafka, from `start` up to, not including, `end`: a
            datetime, or ISO 8601 as ``2026-11-24T01:30``. If both are whole hours, all rows
            filed under these hours are included, also those without a usable Kafka timestamp.
        topic
            name of a topic, or several names; None is all topics
        with_services
            names of results, or ``name/version``: each becomes a column of records, null where
            there is no result (yet); see `finkray.results.joined.JoinedDataset`. An alert that came
            twice is two rows

        Raises
        ------
        ValueError
            if a time is malformed, or the types of columns of two topics cannot be unified
        ServiceError
            if there are no such results
        """
        span, topics = _chosen(start, end, topic)
        files, condition = select_files(self._storage, span, topics)
        alerts = dataset_of_files(self._storage, [file.path for file in files])
        if with_services:
            from finkray.results.joined import JoinedDataset
            from finkray.results.store import find_store

            stores = [find_store(self._storage, name) for name in with_services]
            return JoinedDataset(alerts, condition, stores)
        from finkray.nights.dataset import with_nights

        alerts = with_nights(self._storage, alerts, files, span)
        return alerts if condition is None else alerts.filter(condition)

    def results(
        self,
        name: str,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
    ) -> pads.Dataset:
        """Return the results of a service, without the alerts: one row for each row of the archive.

        Parameters
        ----------
        name
            of the results, or ``name/version``; without a version, the one that ran last
        start, end, topic
            as in `dataset`

        Raises
        ------
        ValueError
            if a time is malformed
        ServiceError
            if there are no such results
        """
        from finkray.results.store import RESULTS_FOLDER, find_store, result_schema

        store = find_store(self._storage, name)
        dataset, condition = open_dataset(
            store.storage,
            *_chosen(start, end, topic),
            below=RESULTS_FOLDER,
            schema=result_schema(store.about.output),
        )
        return dataset if condition is None else dataset.filter(condition)

    def newest(
        self,
        name: str,
        start: Moment | None = None,
        end: Moment | None = None,
        topic: str | Collection[str] | None = None,
    ) -> pa.Table:
        """Return the results of a service, one row for each alert: the newest of duplicates.

        Parameters and errors are those of `results`.
        """
        from finkray.results.joined import newest

        return newest(self.results(name, start, end, topic).to_table())

    def ledger(self) -> pa.Table:
        """Return one row for each claim, in order of commit: its offsets and their outcome.

        Columns: `seq`, `epoch`, `kind` and `at` of the ledger's entry; `cluster_id`, `topic`,
        `topic_id`, `partition`, `first_offset`, `last_offset` of the claim; the sums
        `archived`, `dead_lettered`, `expired`, `not_delivered`, `unreadable`; `files`,
        `dead_letter_files`, `dead_letters_by_reason`, `gaps`, and `remade`.

        Raises
        ------
        LedgerCorrupt
            if an entry is missing or unreadable
        """
        return read_claims(self._storage)

    def follow(self, cursor: str | None = None, wait_s: float | None = None) -> Iterator[Durable]:
        """Yield new files of alerts, each once, in the order in which their claims were committed.

        A file is yielded only when it is published. Store the cursor of the last file together
        with your results of it: passed to `follow`, it continues after that file.

        Parameters
        ----------
        cursor
            of the last file that was processed; None starts with the first file
        wait_s
            end when no new file came for this many seconds; 0 ends when there are no more files
            now, None waits for ever

        Raises
        ------
        ValueError
            if the cursor is malformed
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
        """Check that every offset is accounted for once, also while an archive runs.

        The report has the balance sheet, and what is missing, damaged or there twice
        (docs/operations.md).

        Parameters
        ----------
        kafka
            to compare with; None compares the ledger with the files alone
        wants
            tells by name which topics are to be archived, besides those in the ledger; None is
            no others
        deep
            a range whose files are opened: `all`, a UTC day or hour, ``A..B``, or
            ``topic:partition:first-last``; None opens none

        Raises
        ------
        LedgerCorrupt
            if an entry is missing or unreadable, or offsets are claimed twice
        KafkaUnavailable
            if no broker answers
        ValueError
            if `deep` is no range
        """
        from finkray.audit.audit import audit

        return audit(self._storage, kafka, wants=wants, deep=deep)


def _chosen(
    start: Moment | None, end: Moment | None, topic: str | Collection[str] | None
) -> tuple[Span, frozenset[str] | None]:
    span = Span(None if start is None else utc(start), None if end is None else utc(end))
    topics = None if topic is None else frozenset([topic] if isinstance(topic, str) else topic)
    return span, topics
