"""Draw a sample of the alerts of an archive, and build models of it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray import adapter
from finkray.errors import OutlierError
from finkray.ledger.follow import Durable, Follower, Position
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.outliers.model import MOST_ROWS, OutlierModel
from finkray.services.columns import read_columns
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, Span

COLUMNS: Final = tuple(
    dict.fromkeys(
        [
            *adapter.columns("detection"),
            *(column for about in FEATURE_LISTS.values() for column in about.columns),
        ]
    )
)
"""The packet columns that are read."""


class TrainingStopped(Exception):
    """The training was ended before the sample was complete."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and what it was built of.

    Attributes
    ----------
    model
        the model
    alerts
        how many alerts of the survey were looked at; one that came twice counts twice
    files
        in how many files
    """

    model: OutlierModel
    alerts: int
    files: int


class Sample:
    """A sample of a survey's alerts: those whose numbers, mixed with a seed, are the smallest.

    Which alerts these are does not depend on the order in which they come, nor on how often.

    Parameters
    ----------
    survey
        name of the survey
    seed
        another one draws other alerts
    rows
        how many are kept
    """

    def __init__(self, survey: str, seed: int, rows: int = MOST_ROWS) -> None:
        self._about = FEATURE_LISTS[survey]
        self._seed, self._rows = seed, rows
        self._kept: pa.Table | None = None
        self._keys = np.empty(0, np.uint64)
        self.alerts = 0
        self.files = 0

    def add(self, alerts: pa.Table, alert_ids: np.ndarray) -> None:
        """Add alerts of the survey; only those that stay in the sample get features."""
        self.alerts += len(alert_ids)
        self.files += 1
        keys = mixed(alert_ids, self._seed)
        bound = self._keys.max() if len(self._keys) >= self._rows else None
        chosen = np.flatnonzero(keys <= bound) if bound is not None else np.arange(len(keys))
        if not len(chosen):
            return
        table = self._about.table(alerts.take(pa.array(chosen)))
        together = table if self._kept is None else pa.concat_tables([self._kept, table])
        all_keys = np.concatenate([self._keys, keys[chosen]])
        _, first = np.unique(all_keys, return_index=True)
        first = first[: self._rows]
        self._keys = all_keys[first]
        self._kept = together.take(pa.array(first)).combine_chunks()

    def fit(self, threads: int = 1) -> Trained:
        """Build the model of the sample.

        Raises
        ------
        OutlierError
            If there are too few alerts.
        """
        table = self._about.table(pa.table({"candidate.jd": [], "diaSource.ra": []}))
        sample = table if self._kept is None else self._kept
        model = OutlierModel.fit(
            sample, survey=self._about.survey, seed=self._seed, rows=self._rows, threads=threads
        )
        return Trained(model, self.alerts, self.files)


def train(
    storage: Storage,
    span: Span,
    surveys: tuple[str, ...],
    *,
    seed: int = 0,
    rows: int = MOST_ROWS,
    tell: Callable[[str], None],
    stopping: threading.Event,
) -> Iterator[Trained]:
    """Yield a model for each survey that has alerts in a span of the archive.

    Parameters
    ----------
    storage
        of the archive
    span
        hours of arrival in Kafka
    surveys
        names of surveys; if there are several, those without enough alerts have no model
    seed, rows
        of the samples and models
    tell
        is called with a line of progress
    stopping
        ends the work when it is set

    Raises
    ------
    OutlierError
        If a survey that alone was asked for, or each of several, has too few alerts.
    StorageError
        If a file cannot be read.
    TrainingStopped
        If the work was ended.
    """
    samples = {survey: Sample(survey, seed, rows) for survey in surveys}
    for number, durable in enumerate(_files(storage, span), start=1):
        if stopping.is_set():
            raise TrainingStopped
        _add(storage, durable, samples)
        counts = ", ".join(f"{sample.alerts:,} of {name}" for name, sample in samples.items())
        tell(f"{number:,} files, alerts: {counts}")
    fitted = 0
    errors: list[OutlierError] = []
    for sample in samples.values():
        if stopping.is_set():
            raise TrainingStopped
        try:
            trained = sample.fit()
        except OutlierError as error:
            errors.append(error)
            continue
        fitted += 1
        yield trained
    if not fitted:
        raise errors[0]


def mixed(numbers: np.ndarray, seed: int) -> np.ndarray:
    """Return 64 bits for each number that look drawn at random (splitmix64)."""
    with np.errstate(over="ignore"):
        bits = numbers.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out: np.ndarray = bits ^ (bits >> np.uint64(31))
    return out


def _files(storage: Storage, span: Span) -> Iterator[Durable]:
    for durable in Follower(storage, Position()).follow(wait_s=0):
        hour = datetime.fromisoformat(str(durable.file.hour_utc))
        if span.meets(hour, hour + HOUR):
            yield durable


def _add(storage: Storage, durable: Durable, samples: Mapping[str, Sample]) -> None:
    with storage.open(durable.path) as source:
        alerts = read_columns(source, COLUMNS)
    detections = adapter.detections(alerts)
    for survey, sample in samples.items():
        chosen = pc.fill_null(pc.equal(detections["survey"], survey), False)  # noqa: FBT003
        if pc.any(chosen).as_py():
            ids = detections["alert_id"].filter(chosen)
            sample.add(alerts.filter(chosen), ids.to_numpy())
