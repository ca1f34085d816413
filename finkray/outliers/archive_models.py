"""The models of outliers of an archive: train them, put them in use, and look at them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from finkray.errors import OutlierError
from finkray.outliers.feature_list import FEATURE_LISTS, feature_list
from finkray.outliers.model import MOST_ROWS, OutlierModel
from finkray.outliers.refit import RefitResult, refit
from finkray.outliers.store import ModelStore, StoredModel
from finkray.outliers.training import train
from finkray.storage.contract import Storage
from finkray.storage.hours import Moment, Span, utc
from finkray.surveys.ztf import ZTF

if TYPE_CHECKING:
    from finkray.outliers.comparing import ModelDiff


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that was trained on an archive, and is kept with it.

    Attributes
    ----------
    survey, version
        of the model
    alerts
        how many alerts were looked at
    rows
        how many of them are its reference
    in_use
        whether alerts are scored with it from now on
    """

    survey: str
    version: str
    alerts: int
    rows: int
    in_use: bool

    def text(self) -> str:
        """Return a line about it."""
        use = "in use from now on" if self.in_use else "not in use: finkray outliers use"
        return (
            f"{self.survey} {self.version}: {self.rows:,} reference alerts of {self.alerts:,} "
            f"that were looked at; {use}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return its fields."""
        return {name: getattr(self, name) for name in self.__slots__}


class OutlierModels:
    """The models of outliers of an archive; see `finkray.Archive.outlier_models`.

    A model is named by its version, or the first characters of it.

    Parameters
    ----------
    archive
        storage of the archive
    storage
        of the models, rankings and thumbs: the archive's folder `outliers`, or another one
    """

    def __init__(self, archive: Storage, storage: Storage) -> None:
        self._archive = archive
        self._storage = storage

    def train(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        survey: str | None = None,
        seed: int = 0,
        rows: int = MOST_ROWS,
        use: bool = True,
        tell: Callable[[str], None] | None = None,
        stopping: threading.Event | None = None,
    ) -> list[TrainedModel]:
        """Build models of what is ordinary, from alerts of the archive; keep them and use them.

        The same alerts and the same seed give the same model. It is a pass over the columns that
        are needed of all files of these hours.

        Parameters
        ----------
        start, end
            UTC times of arrival in Kafka, from the hour of `start` up to, not including, `end`: a
            datetime, or ISO 8601 as ``2026-11-24T01:30``. None is without bound
        survey
            `ztf` or `lsst`; None is a model for each survey that has enough alerts
        seed
            of the samples and of the forest, 0 or more
        rows
            reference alerts of a model at most, 50 or more; where there are more alerts, these are
            drawn
        use
            whether alerts are scored with the models from now on
        tell
            is called with a line of progress for each file; None tells nothing
        stopping
            ends the work when it is set; nothing is kept then

        Returns
        -------
        list
            a `TrainedModel` for each survey

        Raises
        ------
        OutlierError
            If there are too few alerts, no such survey, or `rows` or `seed` is too small.
        ValueError
            If a time is malformed, or `end` is not after `start`.
        StorageError
            If a file cannot be read, or a model cannot be kept.
        TrainingStopped
            If the work was ended.
        """
        span = Span(None if start is None else utc(start), None if end is None else utc(end))
        if span.start is not None and span.end is not None and span.end <= span.start:
            raise ValueError(f"{end} is not after {start}: expected a span with an hour or more")
        trained = list(
            train(
                self._archive,
                span,
                _surveys(survey),
                seed=seed,
                rows=rows,
                tell=tell or _tell_nothing,
                stopping=stopping or threading.Event(),
            )
        )
        bounds = {"from": span.start, "to": span.end}
        facts = {name: str(moment) for name, moment in bounds.items() if moment is not None}
        out = []
        for each in trained:
            model = each.model
            store = self._store(model.survey)
            version = store.add(model, {**facts, "alerts": each.alerts, "files": each.files})
            if use:
                store.use(version)
            out.append(
                TrainedModel(model.survey, version, each.alerts, model.reference.num_rows, use)
            )
        return out

    def models(self, survey: str | None = None, *, user: str | None = None) -> list[StoredModel]:
        """Return the models, survey by survey, the oldest first; a damaged one is logged.

        Parameters
        ----------
        survey
            `ztf` or `lsst`; None is all
        user
            whose model is said to be in use, a user or a group; None: that of all

        Raises
        ------
        OutlierError
            If there is no such survey, or an entry about what is in use is damaged.
        StorageError
            If a file cannot be read.
        """
        return [model for name in _surveys(survey) for model in self._store(name, user).models()]

    def show(self, version: str) -> dict[str, Any]:
        """Return what a model was built of: values that JSON has, as `finkray outliers show`.

        Parameters
        ----------
        version
            of the model

        Raises
        ------
        OutlierError
            If there is no such model, or more than one.
        StorageError
            If a file cannot be read.
        """
        return self._found(version).to_json()

    def load(self, version: str, *, threads: int = 1) -> OutlierModel:
        """Read a model, which scores and explains alerts and learns thumbs.

        Parameters
        ----------
        version
            of the model
        threads
            how many threads score; the scores are the same for any number

        Raises
        ------
        OutlierError
            If there is no such model, more than one, or it is damaged.
        StorageError
            If a file cannot be read.
        """
        found = self._found(version)
        return self._store(found.manifest.survey).load(found.version, threads)

    def use(self, version: str, *, user: str | None = None) -> StoredModel:
        """Score alerts with a model from now on, and return it.

        A running service takes it with its next batch.

        Parameters
        ----------
        version
            of the model
        user
            a user or a group who get it as a model of their own; None is the model of all

        Raises
        ------
        OutlierError
            If there is no such model, more than one, it is damaged, or another command changed
            what is in use at the same time.
        StorageError
            If a file cannot be read or written.
        """
        found = self._found(version)
        self._store(found.manifest.survey, user).use(found.version)
        return replace(found, in_use=True)

    def revert(self, survey: str = ZTF.name, *, user: str | None = None) -> str:
        """Put the model in use again that was in use before the present one; return its version.

        Parameters
        ----------
        survey
            `ztf` or `lsst`
        user
            whose own model is meant, a user or a group; None is the model of all

        Raises
        ------
        OutlierError
            If there was none before, there is no such survey, or another command changed what is
            in use at the same time.
        StorageError
            If a file cannot be read or written.
        """
        return self._store(survey, user).revert()

    def compare(self, version: str, other: str) -> "ModelDiff":
        """Compare two models of one survey.

        They are compared by the reference alerts and thumbs they share, and by how alike they
        score. `finkray.outliers.comparing.ModelDiff` explains the answer.

        Parameters
        ----------
        version, other
            of the models

        Raises
        ------
        OutlierError
            If there is no such model, more than one, one is damaged, or they are of two surveys.
        StorageError
            If a file cannot be read.
        """
        from finkray.outliers.comparing import compared  # loads a second of libraries

        return compared(self.load(version), self.load(other))

    def refit(self, survey: str = ZTF.name, *, user: str | None = None) -> RefitResult:
        """Let the model in use learn the thumbs, and put the new one in use if it is no worse.

        Nights are replayed first: a model that ranks thumbs of nights it has not learnt worse than
        without thumbs is kept and not used. `finkray.outliers.refit.RefitResult` explains the
        answer.

        Parameters
        ----------
        survey
            `ztf` or `lsst`
        user
            whose thumbs are learnt, a user or a group, by their own model if they have one; None is
            all

        Raises
        ------
        OutlierError
            If no model is in use, there are no thumbs, or there is no such survey.
        StorageError
            If a file cannot be read or written.
        """
        return refit(self._storage, feature_list(survey).survey, user)

    def _store(self, survey: str, user: str | None = None) -> ModelStore:
        return ModelStore(self._storage, feature_list(survey).survey, user)

    def _found(self, version: str) -> StoredModel:
        """Return the model whose version begins with these digits."""
        models = self.models()
        found = [model for model in models if model.version.startswith(version)]
        if len(found) != 1:
            have = ", ".join(model.version for model in models) or "none: finkray outliers train"
            fault = "there is no model" if not found else "more than one model begins with"
            raise OutlierError(f"{fault} {version}; there are: {have}")
        return found[0]


def _surveys(survey: str | None) -> tuple[str, ...]:
    return tuple(FEATURE_LISTS) if survey is None else (feature_list(survey).survey,)


def _tell_nothing(_: str) -> None:
    pass
