"""`finkray outliers`: the models of the settings' archive, and lines about them and of a list."""

from collections.abc import Iterator

import pyarrow as pa

from finkray.errors import SettingsError
from finkray.outliers.archive_models import OutlierModels
from finkray.outliers.location import outlier_storage
from finkray.outliers.store import StoredModel
from finkray.settings.model import Settings
from finkray.storage.hours import Span, utc
from jobs.cluster.archive import archive_of


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


def outlier_models(settings: Settings) -> OutlierModels:
    """Return the models of the archive of the settings.

    Raises
    ------
    SettingsError
        If there is no archive, or `[services.outliers] folder` is no text.
    """
    return OutlierModels(archive_of(settings), outlier_storage(settings))


def model_text(model: StoredModel) -> str:
    """Return a line about a model."""
    about = model.manifest
    trained = about.facts.get("trained_at", "")
    span = f"{about.facts.get('from', 'the first')} to {about.facts.get('to', 'the last')}"
    mark = "in use" if model.in_use else "      "
    return (
        f"{mark}  {about.survey} {model.version}  {about.rows:,} reference alerts, "
        f"{about.thumbs} thumbs, {span}, trained {trained}"
    )


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
