"""Read an archive. Any number of readers may do so at any time, beside the one writer."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import pyarrow as pa
import pyarrow.dataset as pads

from finkray.errors import StorageError
from finkray.ledger.claims import read_claims
from finkray.ledger.follow import Durable, Follower, Position
from finkray.storage.contract import Storage
from finkray.storage.dataset import dataset_of_files, open_dataset, select_files
from finkray.storage.hours import Span, utc
from finkray.storage.opening import Option, StorageLocation, open_storage

if TYPE_CHECKING:
    from finkray.audit.audit import KafkaView
    from finkray.audit.report import AuditReport
    from finkray.curves.lookup import AlertFiles
    from finkray.results.joined import JoinedDataset

Moment = datetime | str


class Archive:
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

    @cached_property
    def _alert_files(self) -> "AlertFiles":
        """Its files of alerts, with the object index that look-ups share."""
        from finkray.curves.lookup import AlertFiles

        return AlertFiles(self._storage)

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

    def lightcurve(
        self,
        object_id: str | int,
        *,
        bands: str | Collection[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        kinds: str | Collection[str] | None = None,
    ) -> pa.Table:
        """Return the light curve of an object, each measurement once, in order of time.

        Its points come from the object's alerts and the histories in them; the columns are
        explained at `finkray.curves.schema.POINT`. With an object index (docs/index.md) only files
        with alerts of the object are opened, otherwise all files of the archive are looked through.

        Parameters
        ----------
        object_id
            ZTF's objectId, or LSST's diaObjectId or ssObjectId
        bands
            one of u, g, r, i, z, y or several; None is all
        start, end
            UTC times of the exposure, from `start` up to, not including, `end`: as in `dataset`
        kinds
            `detection`, `limit`, `forced`, or several; None is all

        Raises
        ------
        UnknownObject
            if the archive has no alert of the object
        ValueError
            if a band, a kind or a time is malformed
        StorageError
            if a file cannot be read
        """
        from finkray.curves.reading import Choice, read_curve

        return read_curve(self._alert_files, object_id, Choice.of(bands, start, end, kinds))

    def lightcurves(
        self,
        object_ids: Collection[str | int],
        *,
        bands: str | Collection[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        kinds: str | Collection[str] | None = None,
    ) -> pa.Table:
        """Return the light curves of several objects in one table, as `lightcurve` returns one.

        Many at once cost less than one after another. Objects of which there is no alert have no
        row. Parameters and errors are those of `lightcurve`, but that no object is unknown.
        """
        from finkray.curves.reading import Choice, read_curves

        return read_curves(self._alert_files, object_ids, Choice.of(bands, start, end, kinds))

    def cone(self, ra_deg: float, dec_deg: float, radius_arcsec: float) -> pa.Table:
        """Return the objects with an alert in a circle, the nearest first.

        The columns are explained at `finkray.curves.reading.OBJECT`. With an object index
        (docs/index.md) and the extra `catalogs` only files with alerts in the circle are opened,
        otherwise all files of the archive are looked through.

        Parameters
        ----------
        ra_deg, dec_deg
            the centre, ICRS
        radius_arcsec
            at most 36 000

        Raises
        ------
        ValueError
            if the circle is none
        StorageError
            if a file cannot be read
        """
        from finkray.curves.reading import objects_in_cone

        return objects_in_cone(self._alert_files, ra_deg, dec_deg, radius_arcsec)

    def objects(
        self,
        *,
        cone: tuple[float, float, float] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        bands: str | Collection[str] | None = None,
        min_alerts: int = 1,
        max_alerts: int | None = None,
    ) -> pa.Table:
        """Return the objects of the archive by place, time and number of alerts, a row for each.

        The columns are explained at `finkray.curves.objects.OBJECTS`. Each alert counts once, with
        its own detection; what is only in histories does not count. Narrow columns of the selected
        files are read: of all files, or with `cone` of those that the object index names
        (docs/index.md). They come from the HATS nights that are built. It takes some 100 bytes of
        memory for each alert that is selected.

        Parameters
        ----------
        cone
            right ascension and declination of the centre in degrees (ICRS), and radius in arcsec,
            at most 36 000; None is the whole sky
        start, end
            UTC times of the exposure, from `start` up to, not including, `end`: as in `dataset`
        bands
            one of u, g, r, i, z, y or several; None is all
        min_alerts, max_alerts
            how many alerts of an object meet the above

        Raises
        ------
        ValueError
            if the circle is none, a band is unknown, or a time is malformed
        StorageError
            if a file cannot be read
        """
        from finkray.curves.objects import ObjectChoice, read_objects

        choice = ObjectChoice.of(
            cone=cone,
            start=start,
            end=end,
            bands=bands,
            min_alerts=min_alerts,
            max_alerts=max_alerts,
        )
        return read_objects(self._alert_files, choice)

    def outliers(
        self,
        night: str | None = None,
        *,
        top: int = 20,
        context: str | None = None,
        survey: str | None = None,
        mute: Collection[str] = (),
        results: str = "outliers",
    ) -> pa.Table:
        """Return the strangest objects of a night with reasons, the strangest first.

        The columns are explained at `finkray.outliers.listing`. The service `outliers` must have
        scored the night (docs/outliers.md), and the extra `outliers` must be installed.

        Parameters
        ----------
        night
            the observing night, as 2026-11-24; None: the newest night that has scores
        top
            how many objects at most
        context
            `asteroid`, `star`, `galaxy`, `unknown`, `nothing`, or `transient-like`, which is the
            last three together; None is all
        survey
            `ztf` or `lsst`; None is both
        mute
            classes of the service `classify` whose objects are left out
        results
            name of the results, or ``name/version``

        Raises
        ------
        ServiceError
            if there are no such results, or classes are muted and there are none of `classify`
        ValueError
            if there is no such context or survey
        StorageError
            if a file cannot be read
        """
        from finkray.outliers.listing import outliers_of

        return outliers_of(
            self._storage,
            night=night,
            top=top,
            context=context,
            survey=survey,
            mute=mute,
            results=results,
        )

    def thumb(
        self,
        alert: str | int,
        direction: Literal["up", "down"],
        *,
        user: str | None = None,
        note: str = "",
        folder: str | Path | None = None,
    ) -> int:
        """Say that you want more alerts like this one, or no more; return the thumb's number.

        It is appended to a log, and durable when this returns. `finkray outliers refit` lets a
        model learn it, `finkray outliers thumbs undo NUMBER` takes it back.

        Parameters
        ----------
        alert
            id of an alert that the service `outliers` has scored, or of its object: then its alert
            with the highest score
        direction
            `up` or `down`
        user
            who judges, a person or a group; None is your login name
        note
            a remark, kept with it
        folder
            of the models, where the settings name one (`services.outliers.folder`); None is that
            of the archive

        Raises
        ------
        OutlierError
            if no alert of that id has a score
        ServiceError
            if there are no results of `outliers`
        ValueError
            if the direction is neither
        StorageError
            if the thumb cannot be written; it may be there all the same: look before you try again
        """
        from finkray.outliers.giving import give_thumb
        from finkray.outliers.location import storage_beside
        from finkray.outliers.thumb_log import ThumbLog

        log = ThumbLog(storage_beside(self._storage, folder))
        return give_thumb(self._storage, log, str(alert), direction, user=user, note=note).number

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


def open_archive(uri: str | Path, options: Mapping[str, Option] | None = None) -> Archive:
    """Open an archive for reading.

    Parameters
    ----------
    uri
        its folder, ``file:///folder``, ``s3://bucket/prefix`` or ``hdfs://host:port/folder``
    options
        of the storage, as `archive.options` of the settings; a folder takes none, and an object
        store needs none if the environment has its credentials

    Raises
    ------
    StorageError
        if there is no such folder, or the store refuses
    ValueError
        if the scheme of the URI is not supported, or the storage does not take an option
    """
    storage = open_storage(StorageLocation(str(uri), options or {}))
    if not storage.exists():
        raise StorageError(f"there is no archive at {storage.uri}: no such folder")
    return Archive(storage)


def lightcurve(
    object_id: str | int,
    *,
    bands: str | Collection[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    kinds: str | Collection[str] | None = None,
) -> pa.Table:
    """Return the light curve of an object of the archive that the settings name.

    The settings are those of the file in ``FINKRAY_CONFIG``, or ``conf/finkray.toml`` of the
    current folder if there is one. Parameters and errors are those of `Archive.lightcurve`.

    Raises
    ------
    SettingsError
        if a setting is wrong
    """
    from finkray.settings.model import load

    default = Path("conf/finkray.toml")
    named = os.environ.get("FINKRAY_CONFIG")
    config = Path(named) if named else default if default.exists() else None
    location = load(config, os.environ).archive
    archive = open_archive(location.uri, location.storage_options())
    return archive.lightcurve(object_id, bands=bands, start=start, end=end, kinds=kinds)


def _chosen(
    start: Moment | None, end: Moment | None, topic: str | Collection[str] | None
) -> tuple[Span, frozenset[str] | None]:
    span = Span(None if start is None else utc(start), None if end is None else utc(end))
    topics = None if topic is None else frozenset([topic] if isinstance(topic, str) else topic)
    return span, topics
