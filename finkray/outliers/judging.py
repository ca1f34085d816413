"""Find the alert that a user judges, and build models that have learnt thumbs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.errors import OutlierError
from finkray.ledger.follow import Follower, Position
from finkray.outliers.explanation import words
from finkray.outliers.feature_list import feature_list
from finkray.outliers.model import OutlierModel
from finkray.outliers.thumb_log import Entry, features_to_json
from finkray.outliers.training import COLUMNS
from finkray.results.store import RESULTS_FOLDER, find_store, result_schema
from finkray.services.columns import read_columns
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span

_KEYS: Final = ("kafka_topic", "kafka_partition", "kafka_offset", "alert_id", "object_id")
_SHOWN: Final = ("score", "plain_score", "p_model", "quality", "context", "known")
_REPLAYS: Final = 5
"""Times that thumbs are learnt again to try them; with more nights, some are left out together."""


def judged_alert(archive: Storage, text: str, results: str = "outliers") -> dict[str, Any]:
    """Return the facts of an entry of the log for an alert that was scored.

    Parameters
    ----------
    archive
        its storage
    text
        id of the alert, or of its object: then the alert with the highest score
    results
        name of the results of the service

    Raises
    ------
    OutlierError
        If no alert of that id has a score.
    ServiceError
        If there are no such results.
    StorageError
        If a file cannot be read.
    """
    store = find_store(archive, results)
    schema = result_schema(store.about.output)
    dataset, _ = open_dataset(store.storage, Span(), None, below=RESULTS_FOLDER, schema=schema)
    is_it = pc.field("object_id") == text
    if text.isdigit():
        is_it |= pc.field("alert_id") == int(text)
    names = [*_KEYS, *_SHOWN, "survey", "obs_night", "model", "drivers"]
    found = dataset.to_table(names, is_it & pc.field("score").is_valid()).to_pylist()
    if not found:
        raise OutlierError(
            f"no alert {text} has a score: is it the id of an alert or an object of a list?"
        )
    # An alert comes before the object of that id, and of several the one with the highest score.
    row = max(found, key=lambda each: (str(each["alert_id"]) == text, each["score"]))
    about = feature_list(row["survey"])
    features = about.table(_read_alert(archive, row)).to_pylist()[0]
    shown = {name: row[name] for name in _SHOWN}
    every = (*about.features, *about.curve_features)
    shown["reasons"] = [words(every, driver) for driver in row["drivers"]]
    return {
        "survey": row["survey"],
        "alert_id": row["alert_id"],
        "object_id": row["object_id"] or "",
        "night": "" if row["obs_night"] is None else str(row["obs_night"]),
        "model": row["model"],
        "shown": shown,
        "features": features_to_json(features),
    }


@dataclass(frozen=True, slots=True)
class TaughtModel:
    """A model that has learnt thumbs, and whether it is better than without.

    Attributes
    ----------
    model
        the model
    up, down
        how many thumbs of each sort it has learnt
    older
        how many were left out, because they were given with another list of features
    nights
        how many nights the thumbs are of; they are tried on nights left out if there are two
    before, after
        how often a thumb up is above a thumb down, without and with what the other thumbs teach;
        None where there are fewer than two of a sort
    """

    model: OutlierModel
    up: int
    down: int
    older: int
    nights: int
    before: float | None
    after: float | None

    @property
    def better(self) -> bool:
        """Whether it ranks thumbs that it has not seen no worse than without thumbs."""
        return self.before is None or self.after is None or self.after >= self.before


def taught(model: OutlierModel, thumbs: Sequence[Entry]) -> TaughtModel:
    """Return a model with these thumbs in place of its own, and try it on nights left out.

    Nights are replayed: each thumb is ranked by a model that has learnt the thumbs of other nights
    alone. Thumbs of one night are tried on a fifth of them at a time.

    Raises
    ------
    OutlierError
        If there are no thumbs, or none with the features of the model.
    """
    if not thumbs:
        raise OutlierError("there are no thumbs to learn: finkray outliers thumb ALERT up")
    plain = model.without_thumbs()
    given = len(thumbs)
    thumbs = [each for each in thumbs if set(plain.about.names) <= set(each.features)]
    older = given - len(thumbs)
    if not thumbs:
        raise OutlierError(
            f"all {given} thumbs were given with another list of features: judge these alerts again"
        )
    rows = [
        {"alert_id": each.alert_id, "object_id": each.object_id, **each.features} for each in thumbs
    ]
    types = {name: pa.float64() for name in plain.about.column_names}
    schema = pa.schema([("alert_id", pa.int64()), ("object_id", pa.string()), *types.items()])
    table = pa.Table.from_pylist(rows, schema)
    up = np.array([each.action == "up" for each in thumbs])
    learnt = plain.learn(table, up.tolist())
    nights = [each.night for each in thumbs]
    counts = (int(up.sum()), int((~up).sum()), older, len(set(nights)))
    if min(counts[:2]) < 2:
        return TaughtModel(learnt, *counts, None, None)
    before = plain.score(table)["score"].to_numpy()
    after = np.empty(len(up))
    replay = replays(nights, up)
    for number in np.unique(replay):
        left_out, rest = np.flatnonzero(replay == number), np.flatnonzero(replay != number)
        other = plain.learn(table.take(pa.array(rest)), up[rest].tolist())
        after[left_out] = other.score(table.take(pa.array(left_out)))["score"].to_numpy()
    return TaughtModel(learnt, *counts, _above(before, up), _above(after, up))


def replays(nights: Sequence[str], up: np.ndarray) -> np.ndarray:
    """Return the number of the replay in which each thumb is left out.

    Thumbs of a night are left out together. Where all are of one night, those up and those down
    are dealt out, each by itself.
    """
    names, night = np.unique(np.array(nights), return_inverse=True)
    if len(names) > 1:
        return night % _REPLAYS
    out = np.empty(len(up), np.int64)
    out[np.lexsort((np.arange(len(up)), up))] = np.arange(len(up)) % min(_REPLAYS, len(up))
    return out


def _above(scores: np.ndarray, up: np.ndarray) -> float:
    """Return how often a score of an alert with a thumb up is above that of one with thumb down."""
    pairs = scores[up][:, None] - scores[~up][None, :]
    return float(np.mean((pairs > 0) + 0.5 * (pairs == 0)))


def _read_alert(archive: Storage, row: dict[str, Any]) -> pa.Table:
    """Return the alert at an offset of the archive, with the columns of features."""
    for durable in Follower(archive, Position()).follow(wait_s=0):
        claim, file = durable.claim, durable.file
        here = claim.source.topic == row["kafka_topic"]
        here &= claim.source.partition == row["kafka_partition"]
        if here and file.first_offset <= row["kafka_offset"] <= file.last_offset:
            with archive.open(durable.path) as source:
                table = read_columns(source, [*COLUMNS, "kafka_offset"])
            alert = table.filter(pc.equal(table["kafka_offset"], row["kafka_offset"]))
            if alert.num_rows:
                return alert
    raise OutlierError(
        f"alert {row['alert_id']} is not in the archive any more: finkray audit says what is lost"
    )
