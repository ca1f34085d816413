"""Read the outliers of an archive, and judge them."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import pyarrow as pa

from finkray.storage.contract import Storage


class OutlierReader:
    """The outliers of an archive, and what users think of them; `finkray.Archive` is one."""

    _storage: Storage

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
