"""A small archive with made scores of outliers, twenty alerts at a time."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

import finkray
from actors.outliers import OUTLIERS
from finkray.outliers.listing import ListRequest, listed
from finkray.outliers.ranking import Ranking, contexts_named
from finkray.results.store import ResultsStore, find_store
from tests.support.parity import FIRST, classify_all
from tests.support.small_archives import NIGHT, SmallArchive

CONTEXTS = ("star", "galaxy", "nothing", "asteroid", "unknown")


class MadeScores(finkray.Service):
    """Scores that only the offset decides; every tenth alert has none."""

    name = "outliers"
    version = "1"
    columns = ("kafka_offset",)
    output = OUTLIERS

    def process(self, alerts: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(
            [made_row(offset) for offset in alerts["kafka_offset"].to_pylist()], OUTLIERS
        )


def made_row(offset: int, **changes: object) -> dict[str, object]:
    plain = float(np.random.default_rng(offset).normal())
    row: dict[str, object] = {
        "score": plain,
        "plain_score": plain,
        "p_model": 0.5,
        "stage": "packet",
        "drivers": [
            {"name": "g_r", "value": 2.0, "unit": "mag", "high": True, "share": 0.002}
            | {"contribution": 0.4}
        ],
        "known": 20,
        "quality": 0.005 if offset % 7 == 0 else 0.6,
        "context": CONTEXTS[offset % 5],
        "similar_alert_id": 9,
        "survey": "ztf",
        "model": "abc",
        "note": None,
    }
    if offset % 10 == 9:
        row |= {"score": None, "plain_score": None, "p_model": None, "stage": None, "known": 0}
    return row | changes


def put_scored(
    small: SmallArchive, first: int, night: date, object_ids: Sequence[str] | None = None
) -> None:
    """Archive twenty alerts, by default of thirteen objects, and score them."""
    offsets = range(first, first + 20)
    more = {
        "obs_night": pa.array([night] * 20, pa.date32()),
        "candid": pa.array(offsets, pa.int64()),
        "objectId": pa.array(object_ids or [f"ZTF{offset % 13}" for offset in offsets]),
    }
    small.put(first, first + 19, begins=NIGHT + timedelta(seconds=first), more=more)
    classify_all(small, MadeScores())


def scores_of(small: SmallArchive) -> ResultsStore:
    return find_store(small.storage, "outliers")


def whole_list(ranking: Ranking, night: date = FIRST) -> pa.Table:
    return listed(ranking.groups, ListRequest(str(night), 1000, contexts_named(None)))
