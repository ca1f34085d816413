"""Score how strange each alert is, with reasons: a service as a user could have written it.

A model that is put in use scores from the next batch on. Alerts of a survey without a model have no
score, but a note that says so.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

import finkray
from finkray import adapter
from finkray.errors import OutlierError
from finkray.outliers.context import COLUMNS as CONTEXT_COLUMNS
from finkray.outliers.context import contexts
from finkray.outliers.explanation import DRIVER_LIST
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.outliers.model import OutlierModel
from finkray.outliers.store import ModelStore
from finkray.storage.opening import StorageLocation, open_storage

_LOG = logging.getLogger(__name__)

OUTLIERS: Final = pa.schema(
    [
        ("score", pa.float64()),
        ("plain_score", pa.float64()),
        ("p_model", pa.float64()),
        ("stage", pa.string()),
        ("drivers", DRIVER_LIST),
        ("known", pa.int32()),
        ("quality", pa.float64()),
        ("context", pa.string()),
        ("similar_alert_id", pa.int64()),
        ("survey", pa.string()),
        ("model", pa.string()),
        ("note", pa.string()),
    ]
)
"""The columns that the service adds: those of `finkray.outliers.model.SCORES`, the reasons, and

| column | meaning |
|---|---|
| context | what is at the position: see `finkray.outliers.context` |
| survey, model | survey of the alert, and version of the model that scored it |
| note | why there is no score; null where there is one |
"""

COLUMNS: Final = tuple(
    dict.fromkeys(
        [*CONTEXT_COLUMNS, *(name for about in FEATURE_LISTS.values() for name in about.columns)]
    )
)
"""The packet columns that the service reads, of both surveys."""

_FROM_MODEL: Final = (
    *("score", "plain_score", "p_model", "stage", "drivers", "known", "quality"),
    "similar_alert_id",
)


class Outliers(finkray.Service):
    """Score how strange each alert of ZTF or LSST is, and say why.

    A subclass with another `name` and a `user` scores with the models of that user or group.
    """

    name = "outliers"
    version = "1"
    columns = COLUMNS
    shares = ("outliers",)
    output = OUTLIERS
    user: str | None = None

    def setup(self) -> None:
        """Read the models in use.

        Raises
        ------
        OutlierError
            If no model is in use, one is damaged, or the folder of the models is not known.
        """
        folder = self.settings.get("folder") or self.shared.get("outliers", {}).get("folder")
        if not folder:
            raise OutlierError(
                "the process of a service cannot read models from an object store: set "
                "`folder` in [services.outliers] to a folder that all nodes see, and train again"
            )
        storage = open_storage(StorageLocation(str(folder)))
        self._models = {
            survey: _ModelInUse(ModelStore(storage, survey, self.user), survey)
            for survey in FEATURE_LISTS
        }
        in_use = [model.refresh() for model in self._models.values()]
        if not any(in_use):
            raise OutlierError(
                f"no model is in use in {storage.uri}: finkray outliers train --from … --to …"
            )

    def process(self, alerts: pa.Table) -> pa.Table:
        """Return the score of each alert."""
        alerts = alerts.combine_chunks()
        surveys = adapter.detections(alerts)["survey"]
        names = surveys.to_numpy()
        where = contexts(alerts)
        parts, rows = [], []
        for survey, in_use in self._models.items():
            chosen = np.flatnonzero(names == survey)
            if len(chosen):
                part = _scored(alerts.take(pa.array(chosen)), survey, in_use)
                parts.append(part)
                rows.append(chosen)
        other = np.flatnonzero(surveys.is_null().to_numpy())
        if len(other):
            parts.append(
                _without_score(len(other), None, "the alert is of no survey with features")
            )
            rows.append(other)
        order = np.argsort(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        table = pa.concat_tables([*parts, OUTLIERS.empty_table()]).take(pa.array(order))
        index = OUTLIERS.get_field_index("context")
        return table.set_column(index, OUTLIERS.field(index), pa.array(where.tolist(), pa.string()))


@dataclass
class _ModelInUse:
    """The model in use for a survey; it is read again when another one is put in use."""

    store: ModelStore
    survey: str
    version: str | None = None
    model: OutlierModel | None = None

    def refresh(self) -> OutlierModel | None:
        """Return the model in use; if it cannot be read, the last one that could be."""
        try:
            version = self.store.in_use()
            if version is not None and version != self.version:
                self.model, self.version = self.store.load(version), version
        except OutlierError as error:
            if self.model is None:
                raise
            _LOG.warning("model %s of %s stays in use: %s", self.version, self.survey, error)
        return self.model


def _scored(alerts: pa.Table, survey: str, in_use: _ModelInUse) -> pa.Table:
    model = in_use.refresh()
    if model is None:
        return _without_score(
            alerts.num_rows, survey, f"no model of {survey} is in use: finkray outliers train"
        )
    out = model.explain(alerts)
    rows = alerts.num_rows
    note = pa.array(
        [None if known else "no feature has a value" for known in _integers(out, "known")]
    )
    extra: dict[str, pa.Array] = {
        "context": pa.nulls(rows, pa.string()),
        "survey": pa.repeat(survey, rows),
        "model": pa.repeat(model.digest, rows),
        "note": note.cast(pa.string()),
    }
    columns = [out[name] if name in _FROM_MODEL else extra[name] for name in OUTLIERS.names]
    return pa.table(columns, schema=OUTLIERS)


def _without_score(rows: int, survey: str | None, note: str) -> pa.Table:
    given: dict[str, Callable[[], pa.Array]] = {
        "known": lambda: pa.repeat(pa.scalar(0, pa.int32()), rows),
        "survey": lambda: pa.repeat(pa.scalar(survey, pa.string()), rows),
        "note": lambda: pa.repeat(note, rows),
    }
    columns = [
        given[field.name]() if field.name in given else pa.nulls(rows, field.type)
        for field in OUTLIERS
    ]
    return pa.table(columns, schema=OUTLIERS)


def _integers(table: pa.Table, name: str) -> list[int]:
    values: list[int] = table[name].to_pylist()
    return values
