"""What the page Tonight reads of outliers besides their scores."""

from datetime import timedelta
from pathlib import Path

import pytest

from finkray import adapter
from finkray.reader import Archive
from finkray.storage.local import LocalStorage
from tests.support.parity import run_service
from tests.support.scored_archive import MadeScores
from tests.support.small_archives import NIGHT, archive_sample_alerts
from ui.lookups.tonight import ORDERS, TonightChoice, tonight

TOP = 10


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """The alerts of `finkray.testing`, with scores."""
    storage = LocalStorage(tmp_path)
    archive_sample_alerts(storage)
    run_service(storage, MadeScores())
    return storage


def test_outliers_have_band_magnitude_and_arrival_of_their_alerts(storage: LocalStorage) -> None:
    alerts = Archive(storage).dataset().to_table()
    detections = adapter.detections(alerts).append_column("at", alerts["kafka_timestamp"])
    expected = {row["alert_id"]: row for row in detections.to_pylist()}
    rows = tonight(Archive(storage), TonightChoice("outliers"), TOP)
    assert len(rows) == TOP
    for row in rows:
        alert = expected[row["alert_id"]]
        assert (row["object_id"], row["band"], row["mag"], row["kafka_timestamp"]) == (
            *(alert["object_id"], alert["band"], alert["mag"], alert["at"]),
        )
        assert row["mag"] is not None


def test_outliers_of_a_context_or_survey_alone_are_listed(storage: LocalStorage) -> None:
    archive = Archive(storage)
    transient_like = tonight(archive, TonightChoice(context="transient-like"), 1000)
    asteroids = tonight(archive, TonightChoice(context="asteroid", survey="ztf"), 1000)
    assert {row["context"] for row in transient_like} == {"galaxy", "unknown", "nothing"}
    assert {row["context"] for row in asteroids} == {"asteroid"}
    alike = archive.outliers(context="asteroid", top=1000)
    assert [row["p_context"] for row in asteroids] == alike["p_context"].to_pylist()
    for order in ORDERS:
        of_ztf = tonight(archive, TonightChoice(order, survey="ztf"), TOP)
        assert of_ztf == tonight(archive, TonightChoice(order), TOP)
        assert tonight(archive, TonightChoice(order, survey="lsst"), TOP) == []


@pytest.mark.parametrize("newest_folders", [0, 48])
def test_outliers_older_than_the_newest_hours_are_looked_for_after_their_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest_folders: int
) -> None:
    storage = LocalStorage(tmp_path)
    archive_sample_alerts(storage, NIGHT.date() - timedelta(days=1))
    run_service(storage, MadeScores())
    monkeypatch.setattr("ui.lookups.tonight._MOST_FOLDERS", newest_folders)
    rows = tonight(Archive(storage), TonightChoice("outliers"), TOP)
    assert len(rows) == TOP
    assert all(row["mag"] is not None for row in rows)


def test_outliers_whose_alerts_are_gone_are_listed_without_them(storage: LocalStorage) -> None:
    storage.delete([file.path for file in storage.walk("alerts")])
    rows = tonight(Archive(storage), TonightChoice("outliers"), TOP)
    assert len(rows) == TOP
    assert {(row["band"], row["mag"], row["kafka_timestamp"]) for row in rows} == {(None,) * 3}
