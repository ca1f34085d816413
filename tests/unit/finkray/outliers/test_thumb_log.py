"""The log of thumbs: nothing is lost, nothing is changed, and models that learn them."""

import threading
from pathlib import Path

import numpy as np
import pytest

from finkray.errors import OutlierError
from finkray.outliers.judging import replays, taught
from finkray.outliers.model import OutlierModel
from finkray.outliers.thumb_log import Entry, ThumbLog, features_to_json
from finkray.storage.local import LocalStorage
from tests.support.outlier_alerts import made_alerts


def test_the_last_thumb_of_a_user_counts_unless_it_was_taken_back(tmp_path: Path) -> None:
    log = ThumbLog(LocalStorage(tmp_path))
    assert log.active() == []
    log.append("up", "ann", survey="ztf", alert_id=1)
    log.append("down", "ann", survey="ztf", alert_id=1)
    log.append("up", "bob", survey="ztf", alert_id=1)
    log.append("up", "bob", survey="lsst", alert_id=1)
    assert [(e.number, e.user) for e in log.active()] == [(2, "ann"), (3, "bob"), (4, "bob")]
    assert [e.number for e in log.active("bob", "ztf")] == [3]
    log.undo(2, "ann")
    assert [(e.number, e.action) for e in log.active("ann")] == [(1, "up")]
    for number in (2, 9):
        with pytest.raises(OutlierError, match=rf"no thumb {number} that could be taken back"):
            log.undo(number, "ann")
    assert [e.action for e in log.entries()] == ["up", "down", "up", "up", "undo"]
    (tmp_path / "thumbs/00000003.json").write_text("{")
    with pytest.raises(OutlierError, match=r"00000003\.json is damaged"):
        log.active()


def test_thumbs_given_at_once_are_all_kept(tmp_path: Path) -> None:
    def give(user: str) -> None:
        log = ThumbLog(LocalStorage(tmp_path))
        for alert_id in range(10):
            log.append("up", user, survey="ztf", alert_id=alert_id)

    threads = [threading.Thread(target=give, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = ThumbLog(LocalStorage(tmp_path)).entries()
    assert [entry.number for entry in entries] == list(range(1, 41))
    assert len({(entry.user, entry.alert_id) for entry in entries}) == 40


def _entries(tmp_path: Path, model: OutlierModel, up: list[bool]) -> list[Entry]:
    log = ThumbLog(LocalStorage(tmp_path))
    rows = model.reference.slice(0, len(up)).to_pylist()
    for row, is_up in zip(rows, up, strict=True):
        facts = {"survey": "ztf", "alert_id": row["alert_id"], "features": features_to_json(row)}
        log.append("up" if is_up else "down", "ann", **facts)
    return log.active()


def test_a_model_learns_thumbs_in_place_of_those_it_had(tmp_path: Path) -> None:
    model = OutlierModel.fit(made_alerts(), survey="ztf")
    thumbs = _entries(tmp_path, model, [True, False] * 4)
    first = taught(model, thumbs)
    assert (first.up, first.down) == (4, 4)
    assert first.before is not None
    assert first.after is not None
    assert first.better == (first.after >= first.before)
    again = taught(first.model, thumbs)
    assert again.model.digest == first.model.digest, "thumbs are not learnt twice"
    assert again.before == first.before
    few = taught(model, thumbs[:2])
    assert (few.before, few.after, few.better) == (None, None, True)
    other = thumbs[0].model_copy(update={"features": {"magpsf": 18.0}})
    mixed = taught(model, [other, *thumbs[1:]])
    assert (mixed.up, mixed.older) == (3, 1), "thumbs of another list of features teach nothing"
    with pytest.raises(OutlierError, match="all 1 thumbs were given with another list"):
        taught(model, [other])
    with pytest.raises(OutlierError, match="there are no thumbs to learn"):
        taught(model, [])


def test_thumbs_of_a_night_are_tried_on_a_model_that_has_learnt_other_nights(
    tmp_path: Path,
) -> None:
    up = np.array([True, False] * 10)
    nights = [f"2026-11-{10 + number % 7}" for number in range(20)]
    replay = replays(nights, up)
    assert 2 <= len(set(replay.tolist())) <= 5
    for night in set(nights):
        assert len({replay[row] for row in range(20) if nights[row] == night}) == 1
    alone = replays(["2026-11-10"] * 20, up)
    assert [int(up[alone == number].sum()) for number in range(5)] == [2] * 5

    model = OutlierModel.fit(made_alerts(), survey="ztf")
    thumbs = [
        each.model_copy(update={"night": night})
        for each, night in zip(_entries(tmp_path, model, up.tolist()), nights, strict=True)
    ]
    assert (taught(model, thumbs).nights, taught(model, thumbs[:1]).nights) == (7, 1)
