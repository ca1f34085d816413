"""`finkray outliers`: train models of outliers, put them in use, and list what is strange."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from finkray.errors import OutlierError, SettingsError
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.outliers.location import outlier_storage
from finkray.outliers.store import ModelStore, StoredModel
from finkray.outliers.training import train
from finkray.settings.model import Settings
from finkray.storage.hours import Span, utc
from jobs.cluster.archive import archive_of


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that a command trained.

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


def span_of_options(begins: str, ends: str) -> Span:
    """Return the span of `--from` and `--to`.

    Raises
    ------
    SettingsError
        If a time is malformed, or the span is empty.
    """
    try:
        span = Span(utc(begins), utc(ends))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if span.start is not None and span.end is not None and span.end <= span.start:
        raise SettingsError(f"--to {ends} is not after --from {begins}")
    return span


def train_models(
    settings: Settings,
    span: Span,
    survey: str | None,
    *,
    seed: int,
    rows: int,
    use: bool,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> Iterator[TrainedModel]:
    """Train models on a span of the archive, keep them, and put them in use.

    Raises
    ------
    OutlierError
        If there are too few alerts.
    TrainingStopped
        If the work was ended.
    """
    storage = outlier_storage(settings)
    surveys = tuple(FEATURE_LISTS) if survey is None else (survey,)
    facts = {"from": str(span.start), "to": str(span.end)}
    for trained in train(
        archive_of(settings), span, surveys, seed=seed, rows=rows, tell=tell, stopping=stopping
    ):
        model = trained.model
        store = ModelStore(storage, model.survey)
        version = store.add(model, {**facts, "alerts": trained.alerts, "files": trained.files})
        if use:
            store.use(version)
        yield TrainedModel(model.survey, version, trained.alerts, model.reference.num_rows, use)


def stored_models(
    settings: Settings, survey: str | None, user: str | None = None
) -> list[StoredModel]:
    """Return the models of one survey or of all, the oldest first; in use are those of a user."""
    storage = outlier_storage(settings)
    surveys = tuple(FEATURE_LISTS) if survey is None else (survey,)
    return [model for name in surveys for model in ModelStore(storage, name, user).models()]


def store_with(
    settings: Settings, version: str, user: str | None = None
) -> tuple[ModelStore, StoredModel]:
    """Return a model that is named by its version or the first digits of it, and a user's store.

    Raises
    ------
    OutlierError
        If there is no such model, or more than one.
    """
    models = stored_models(settings, None)
    found = [model for model in models if model.version.startswith(version)]
    if len(found) != 1:
        have = ", ".join(model.version for model in models) or "none: finkray outliers train"
        fault = "there is no model" if not found else "more than one model begins with"
        raise OutlierError(f"{fault} {version}; there are: {have}")
    store = ModelStore(outlier_storage(settings), found[0].manifest.survey, user)
    return store, found[0]


def store_of(settings: Settings, survey: str, user: str | None = None) -> ModelStore:
    """Return the models of a survey, as a user has them in use."""
    return ModelStore(outlier_storage(settings), survey, user)


def model_text(model: StoredModel) -> str:
    """Return a line about a model."""
    about = model.manifest
    trained = about.facts.get("trained_at", "")
    span = f"{about.facts.get('from', '?')} to {about.facts.get('to', '?')}"
    mark = "in use" if model.in_use else "      "
    return (
        f"{mark}  {about.survey} {model.version}  {about.rows:,} reference alerts, "
        f"{about.thumbs} thumbs, {span}, trained {trained}"
    )


def model_to_json(model: StoredModel) -> dict[str, Any]:
    """Return the facts of a model."""
    facts: dict[str, Any] = json.loads(model.manifest.model_dump_json())
    return {"version": model.version, "in_use": model.in_use, **facts}


def list_lines(table: pa.Table, night: str | None) -> Iterator[str]:
    """Yield a list of outliers as lines of text: an object, and its reasons below it."""
    if not table.num_rows:
        of_night = f" of the night {night}" if night else ""
        yield f"no alert{of_night} has a score: finkray run outliers --from … --to …"
    for row in table.to_pylist():
        image = ", BAD IMAGE" if row["bad_image"] else ""
        liked = ", by thumbs" if row["order"] == "thumbs" else ""
        what = row["class"] or row["context"]
        yield (
            f"{row['rank']:>3}  {row['object_id']}  {row['night']}  {what}  "
            f"score {row['score']:.2f}{image}{liked}"
        )
        yield (
            f"       alert {row['alert_id']}, p {row['p_night']:.2g}, in its context "
            f"({row['context']}) {row['p_context']:.2g}"
        )
        for reason in row["reasons"]:
            yield f"       {reason}"
        if row["similar_class"]:
            yield f"       most like alert {row['similar_alert_id']}: {row['similar_class']}"
