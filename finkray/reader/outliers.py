"""Read the outliers of an archive, and judge them."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from finkray.storage.contract import Storage

if TYPE_CHECKING:
    from finkray.outliers.archive_models import OutlierModels
    from finkray.outliers.thumb_log import Entry, ThumbLog


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

    def outlier_models(self, folder: str | Path | None = None) -> "OutlierModels":
        """Return the models of outliers, to train them, to put them in use and to let them learn.

        Its methods do what the commands `finkray outliers train`, `models`, `use`, `revert`,
        `show`, `compare` and `refit` do; `load` gives the model itself. The extra `outliers` must
        be installed.

        Parameters
        ----------
        folder
            of the models, where the settings name one (`services.outliers.folder`); None is that
            of the archive

        Raises
        ------
        StorageError
            if the folder cannot be opened
        """
        from finkray.outliers.archive_models import OutlierModels
        from finkray.outliers.location import storage_beside

        return OutlierModels(self._storage, storage_beside(self._storage, folder))

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

        It is appended to a log, and durable when this returns. `outlier_models().refit()` lets the
        model in use learn it, `undo_thumb` takes it back.

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
        SettingsError
            if nobody is named, and your login has no name
        ValueError
            if the direction is neither
        StorageError
            if the thumb cannot be written; it may be there all the same: look before you try again
        """
        from finkray.outliers.giving import give_thumb

        log = self._thumb_log(folder)
        return give_thumb(self._storage, log, str(alert), direction, user=user, note=note).number

    def thumbs(self, *, user: str | None = None, folder: str | Path | None = None) -> "list[Entry]":
        """Return the thumbs that count, in the order in which they were given.

        These are the thumbs that were not taken back, of a user's thumbs for one alert the last.

        Parameters
        ----------
        user
            only those of this user or group; None is all
        folder
            as in `thumb`

        Returns
        -------
        list
            entries of the log: `number`, `user`, `action` (`up` or `down`), `at` (UTC), `survey`,
            `alert_id`, `object_id`, `night`, `model`, `shown`, `features` and `note`, as
            `finkray.outliers.thumb_log.Entry` explains them

        Raises
        ------
        OutlierError
            if an entry is damaged
        StorageError
            if an entry cannot be read
        """
        return self._thumb_log(folder).active(user)

    def undo_thumb(
        self, number: int, *, user: str | None = None, folder: str | Path | None = None
    ) -> int:
        """Take a thumb back by a further entry of the log, and return the number of that entry.

        Parameters
        ----------
        number
            of the thumb: `thumb` returned it, `thumbs` has it
        user
            who takes it back; None is your login name
        folder
            as in `thumb`

        Raises
        ------
        OutlierError
            if there is no such thumb, it was taken back already, or an entry is damaged
        SettingsError
            if nobody is named, and your login has no name
        StorageError
            if the entry cannot be written; it may be there all the same: look before you try again
        """
        from finkray.outliers.giving import named_user

        return self._thumb_log(folder).undo(number, named_user(user)).number

    def _thumb_log(self, folder: str | Path | None) -> "ThumbLog":
        from finkray.outliers.location import storage_beside
        from finkray.outliers.thumb_log import ThumbLog

        return ThumbLog(storage_beside(self._storage, folder))
