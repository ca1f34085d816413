"""A field's history may be forgotten, for it can be made again."""

import itertools

import numpy as np
import pytest

from sim.ztf.frame import Frame
from sim.ztf.history import HISTORY_DAYS, FieldHistory
from sim.ztf.packet import PastEntries
from sim.ztf.schedule import Exposure, exposures_before, night_plan

SEED, FIELD_NUMBER, FIRST_NIGHT = 5, 409, 3305


def _visits(count: int) -> list[Exposure]:
    plans = (night_plan(SEED, night) for night in itertools.count(FIRST_NIGHT))
    visits = (e for plan in plans for e in plan if e.field.number == FIELD_NUMBER)
    return list(itertools.islice(visits, count))


def _follow(history: FieldHistory, visits: list[Exposure]) -> list[list[PastEntries]]:
    seen = []
    for exposure in visits:
        history.catch_up(exposure)
        seen.append(history.before(history.observe(Frame.of(SEED, exposure))))
    return seen


@pytest.fixture
def history() -> FieldHistory:
    field = _visits(1)[0].field
    return FieldHistory(SEED, field, alerts_per_visit=20, first_night=FIRST_NIGHT, version="4.02")


def test_what_was_forgotten_is_made_again_the_same(history: FieldHistory) -> None:
    visits = _visits(6)
    kept = _follow(history, visits)
    counts = history.detected_count.copy()
    first_jd = history.first_detected_jd.copy()

    history.forget()
    assert _follow(history, visits[-1:]) == kept[-1:]
    # Nothing was counted twice on the way.
    assert np.array_equal(history.detected_count, counts)
    assert np.array_equal(history.first_detected_jd, first_jd)


def test_it_reaches_thirty_days_back_and_no_farther(history: FieldHistory) -> None:
    visits = _visits(30)
    assert visits[-1].jd - visits[0].jd > HISTORY_DAYS
    for exposure, pasts in zip(visits, _follow(history, visits), strict=True):
        expected = len(exposures_before(SEED, exposure, HISTORY_DAYS))
        assert {past.previous_count for past in pasts} == {expected}
        assert {past.forced_count for past in pasts} == {expected}
