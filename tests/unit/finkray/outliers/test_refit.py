"""Models that learn new thumbs once a day, and those that are kept and not used."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finkray.outliers import refit as refits
from finkray.outliers.judging import TaughtModel
from finkray.outliers.model import OutlierModel
from finkray.outliers.refit import DAILY_HOUR_UTC, DailyRefits
from finkray.outliers.store import ModelStore
from finkray.outliers.thumb_log import ThumbLog, features_to_json
from finkray.storage.local import LocalStorage
from tests.support.outlier_alerts import made_alerts

NOON = datetime(2026, 11, 24, DAILY_HOUR_UTC, tzinfo=UTC)
DAY = timedelta(days=1)


def give(log: ThumbLog, model: OutlierModel, row: int, user: str) -> None:
    alert = model.reference.slice(row, 1).to_pylist()[0]
    facts = {"survey": "ztf", "alert_id": alert["alert_id"], "features": features_to_json(alert)}
    log.append("up", user, **facts)


def test_once_a_day_the_model_in_use_learns_new_thumbs_of_its_user(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    store, log, daily = ModelStore(storage, "ztf"), ThumbLog(storage), DailyRefits(storage)
    assert daily.turn(NOON) == [], "without a model and thumbs nothing is due"
    model = OutlierModel.fit(made_alerts(), survey="ztf")
    store.use(store.add(model, {}))
    give(log, model, 1, "ann")
    give(log, model, 2, "bob")
    assert daily.turn(NOON + timedelta(minutes=1)) == [], "once a day"
    assert daily.turn(NOON + DAY - timedelta(hours=1)) == [], "not at night"
    (first,) = daily.turn(NOON + DAY)
    assert (first.survey, first.up, first.in_use) == ("ztf", 2, True)
    assert store.in_use() == first.version
    assert daily.turn(NOON + 2 * DAY) == [], "there is no new thumb"

    of_ann = refits.refit(storage, "ztf", "ann")
    give(log, model, 3, "ann")
    (second,) = DailyRefits(storage).turn(NOON)
    assert (of_ann.up, second.up) == (1, 2), "the user of the model in use stays"
    assert DailyRefits(storage).turn(NOON + DAY) == [], "also after a restart"


def test_the_own_model_of_a_user_and_that_of_all_learn_apart(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    every, of_ann = ModelStore(storage, "ztf"), ModelStore(storage, "ztf", "ann")
    log = ThumbLog(storage)
    model = OutlierModel.fit(made_alerts(), survey="ztf")
    plain = every.add(model, {})
    every.use(plain)
    of_ann.use(plain)
    give(log, model, 1, "ann")
    give(log, model, 2, "bob")
    shared, own = DailyRefits(storage).turn(NOON)
    assert (shared.up, own.up) == (2, 1)
    assert (every.in_use(), of_ann.in_use()) == (shared.version, own.version)
    assert DailyRefits(storage).turn(NOON + DAY) == [], "both have learnt what there is"
    give(log, model, 3, "ann")
    again = refits.refit(storage, "ztf", "ann")
    assert (again.up, of_ann.in_use(), every.in_use()) == (2, again.version, shared.version)
    (late,) = DailyRefits(storage).turn(NOON + 2 * DAY)
    assert (late.up, every.in_use(), of_ann.in_use()) == (3, late.version, again.version)


def test_a_refit_that_makes_replayed_nights_worse_is_kept_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    store, log = ModelStore(storage, "ztf"), ThumbLog(storage)
    model = OutlierModel.fit(made_alerts(), survey="ztf")
    before = store.add(model, {})
    store.use(before)
    give(log, model, 1, "ann")
    teach = refits.taught

    def worse(*given: object) -> TaughtModel:
        return replace(teach(*given), nights=3, before=0.8, after=0.6)  # type: ignore[arg-type]

    monkeypatch.setattr(refits, "taught", worse)
    (refitted,) = DailyRefits(storage).turn(NOON)
    assert not refitted.in_use
    assert store.in_use() == before
    assert refitted.version in {each.version for each in store.models()}
    assert refitted.text().endswith(
        "3 replayed nights in order: 0.80 before, 0.60 now; worse, so it is kept and not used"
    )
    assert DailyRefits(storage).turn(NOON) == [], "it is not tried again without new thumbs"
