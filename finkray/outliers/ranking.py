"""Rank the outliers of each night: a fold of the ledger of the service's results.

The state has for each survey, night and model how the scores of all alerts are distributed, and the
strangest objects. State and position in the ledger are one file, replaced in one step, so the fold
may be killed at any moment, and comes to the same list. The order in which results become durable
changes nothing in it either.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from finkray.ledger.follow import Durable
from finkray.outliers.context import CONTEXTS
from finkray.results.folds import StoreFolds
from finkray.results.store import ResultsStore, list_stores
from finkray.services.contract import RESULT_COLUMNS
from finkray.storage.contract import Storage
from finkray.views.fold import Fold, StoredState

RANKING_PATH: Final = "ranking.json"
NO_NIGHT: Final = "no night"

OBJECTS_KEPT: Final = 200
"""Objects of a night, survey and context that are kept, by score and by score without thumbs."""

BIN: Final = 0.02
"""Width of the bins in which scores are counted: a hundredth of the spread of ordinary alerts."""

BAD_QUALITY: Final = 0.01
"""Quality up to which an image is bad: by definition 1 % of ordinary alerts; most artefacts."""

_COLUMNS: Final = (
    *("obs_night", "kafka_topic", "kafka_partition", "kafka_offset", "alert_id", "object_id"),
    *("status", "score", "plain_score", "p_model", "drivers", "known", "quality", "context"),
    *("similar_alert_id", "survey", "model"),
)
_CONTEXT_NAMES: Final = ("asteroid", "star", "galaxy", "unknown", "nothing")


class Candidate(BaseModel):
    """The alert of an object with its highest score in a night.

    One with a bad image stands for its object only if the object has no other.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    object_id: str
    alert_id: int
    survey: str
    night: str
    model: str
    context: str
    score: float
    plain_score: float
    p_model: float
    known: int
    quality: float | None
    similar_alert_id: int | None
    kafka_topic: str
    kafka_partition: int
    kafka_offset: int
    drivers: list[dict[str, Any]]


class Group(BaseModel):
    """A night of a survey, scored by one model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    survey: str
    night: str
    model: str
    counts: dict[str, dict[int, int]]
    taught_counts: dict[str, dict[int, int]]
    unscored: int
    candidates: list[Candidate]


class RankingState(BaseModel):
    """The state of the fold, as its file has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = 1
    cursor: str
    groups: list[Group]


class NightGroup:
    """A night of a survey and a model, as it grows.

    Attributes
    ----------
    survey, night, model
        what it is of
    plain, taught
        by context, how many alerts have a score in each bin, without and with thumbs
    unscored
        alerts without a score
    """

    def __init__(self, survey: str, night: str, model: str) -> None:
        self.survey, self.night, self.model = survey, night, model
        self.plain: dict[str, dict[int, int]] = {}
        self.taught: dict[str, dict[int, int]] = {}
        self.unscored = 0
        self._best: dict[tuple[str, str], dict[str, Candidate]] = {}

    @classmethod
    def of(cls, group: Group) -> "NightGroup":
        """Make a group of what was written down."""
        out = cls(group.survey, group.night, group.model)
        out.plain = {name: dict(counts) for name, counts in group.counts.items()}
        out.taught = {name: dict(counts) for name, counts in group.taught_counts.items()}
        out.unscored = group.unscored
        out._keep(group.candidates)
        return out

    def to_state(self) -> Group:
        """Return the group as its file has it."""
        return Group(
            survey=self.survey,
            night=self.night,
            model=self.model,
            counts=self.plain,
            taught_counts=self.taught,
            unscored=self.unscored,
            candidates=sorted(self.candidates(), key=lambda each: (each.object_id, each.alert_id)),
        )

    def candidates(self) -> list[Candidate]:
        """Return the kept alerts, at most two of an object: by score, and by plain score."""
        every = (each for best in self._best.values() for each in best.values())
        return list({(each.object_id, each.alert_id): each for each in every}.values())

    def add(self, table: pa.Table) -> None:
        """Add results of this group."""
        scored = table.filter(pc.is_valid(table["score"]))
        self.unscored += table.num_rows - scored.num_rows
        for context in _CONTEXT_NAMES:
            rows = scored.filter(pc.equal(scored["context"], context))
            for counts, column in ((self.plain, "plain_score"), (self.taught, "score")):
                _count(counts.setdefault(context, {}), rows[column].to_numpy())
            if rows.num_rows:
                self._keep(self._strangest(rows))

    def _strangest(self, rows: pa.Table) -> list[Candidate]:
        """Return of the strangest objects the alert with the highest score, by either score."""
        # A Solar System object of LSST may have no object: then its alert stands for itself.
        names = pc.coalesce(rows["object_id"], rows["alert_id"].cast(pa.string()))
        objects = names.combine_chunks().dictionary_encode().indices.to_numpy()
        with np.errstate(invalid="ignore"):
            bad = pc.fill_null(rows["quality"], np.inf).to_numpy() <= BAD_QUALITY
        chosen: set[int] = set()
        for column in ("score", "plain_score"):
            order = np.lexsort((rows["alert_id"].to_numpy(), -rows[column].to_numpy(), bad))
            _, first = np.unique(objects[order], return_index=True)
            chosen.update(order[np.sort(first)[:OBJECTS_KEPT]].tolist())
        taken = rows.set_column(rows.column_names.index("object_id"), "object_id", names)
        taken = taken.take(pa.array(sorted(chosen), pa.int64()))
        return [_candidate(row, self) for row in taken.to_pylist()]

    def _keep(self, candidates: Iterable[Candidate]) -> None:
        for each in candidates:
            for by in ("score", "plain_score"):
                best = self._best.setdefault((by, each.context), {})
                present = best.get(each.object_id)
                if present is None or _order(each, by) < _order(present, by):
                    best[each.object_id] = each
        for (by, _), best in self._best.items():
            if len(best) > OBJECTS_KEPT:
                kept = sorted(best.values(), key=lambda each: _order(each, by))[:OBJECTS_KEPT]
                best.clear()
                best.update((each.object_id, each) for each in kept)


class Ranking(Fold[RankingState]):
    """Follows the results of the service `outliers` of one version.

    Parameters
    ----------
    store
        the results
    """

    def __init__(self, store: ResultsStore) -> None:
        self._store = store
        super().__init__(store.storage, RANKING_PATH, f"results of {store.name}/{store.version}")

    @staticmethod
    def parse(data: bytes) -> StoredState[RankingState]:
        """Return a state as it was written down."""
        state = RankingState.model_validate_json(data)
        return StoredState(state, state.cursor)

    def restore(self, state: RankingState | None) -> None:
        """Begin with a state that was written down, or with none."""
        groups = [] if state is None else state.groups
        self.groups = {
            (group.survey, group.night, group.model): NightGroup.of(group) for group in groups
        }

    def add(self, durable: Durable) -> None:
        """Add the results of a file."""
        with self.storage.open(durable.path) as source:
            table = pq.read_table(source, columns=list(_COLUMNS), partitioning=None)
        table = table.filter(pc.equal(table["status"], "ok"))
        table = table.filter(pc.is_valid(table["survey"]))
        nights = pc.coalesce(table["obs_night"].cast(pa.string()), NO_NIGHT)
        models = pc.coalesce(table["model"], "")
        table = table.drop_columns(["obs_night", "model"])
        table = table.append_column("night", nights).append_column("model", models)
        parts = list(_parts(table))
        for key, rows in parts:
            self.groups.setdefault(key, NightGroup(*key)).add(rows)

    def dump(self, cursor: str) -> bytes:
        """Return the state as its file holds it."""
        groups = [self.groups[key].to_state() for key in sorted(self.groups)]
        return RankingState(cursor=cursor, groups=groups).model_dump_json().encode()


class Rankings(StoreFolds[Ranking]):
    """Rank all results of an archive that are of the service `outliers`, under whatever name.

    Parameters
    ----------
    archive
        where the alerts are, and the results beside them
    """

    def __init__(self, archive: Storage) -> None:
        super().__init__("ranking", lambda: ranked_stores(archive), Ranking)


def ranked_stores(archive: Storage) -> Iterator[ResultsStore]:
    """Yield the results that have scores, contexts and reasons."""
    for store in list_stores(archive):
        if {*_COLUMNS} <= {*RESULT_COLUMNS.names, *store.about.output.names}:
            yield store


def is_bad(quality: float | None) -> bool:
    """Return whether the image of an alert is among the worst."""
    return quality is not None and quality <= BAD_QUALITY


def contexts_named(name: str | None) -> tuple[str, ...]:
    """Return the contexts of a name of `finkray.outliers.context.CONTEXTS`; None: all.

    Raises
    ------
    ValueError
        if there is no such context
    """
    if name is None:
        return _CONTEXT_NAMES
    if name not in CONTEXTS:
        raise ValueError(f"{name!r} is no context: expected one of {', '.join(CONTEXTS)}")
    return CONTEXTS[name]


def _parts(table: pa.Table) -> Iterator[tuple[tuple[str, str, str], pa.Table]]:
    keys = table.select(["survey", "night", "model"]).group_by(["survey", "night", "model"])
    for key in keys.aggregate([]).to_pylist():
        mask = pc.and_(
            pc.equal(table["survey"], key["survey"]),
            pc.and_(pc.equal(table["night"], key["night"]), pc.equal(table["model"], key["model"])),
        )
        yield (key["survey"], key["night"], key["model"]), table.filter(mask)


def _count(counts: dict[int, int], scores: np.ndarray) -> None:
    bins, numbers = np.unique(np.floor(scores / BIN).astype(np.int64), return_counts=True)
    for bin_, number in zip(bins.tolist(), numbers.tolist(), strict=True):
        counts[bin_] = counts.get(bin_, 0) + number


def _order(candidate: Candidate, by: str) -> tuple[bool, float, int]:
    """Return a key that sorts the strangest alert first; those with bad images come last."""
    score: float = getattr(candidate, by)
    return is_bad(candidate.quality), -score, candidate.alert_id


def _candidate(row: dict[str, Any], group: NightGroup) -> Candidate:
    facts = {name: row[name] for name in Candidate.model_fields if name in row}
    return Candidate(**{**facts, "night": group.night, "model": group.model})
