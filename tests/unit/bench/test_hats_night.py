"""The benchmark of a HATS night: its archive is one, and what it measures is the whole night."""

from pathlib import Path

import pytest

import finkray
from bench.hats_night import CLAIM_ROWS, make_archive, measure, measure_reading

ALERTS = CLAIM_ROWS + 104


def test_the_night_of_the_benchmark_has_all_its_alerts(tmp_path: Path, test_data: Path) -> None:
    make_archive(tmp_path / "archive", test_data, ALERTS)
    archive = finkray.open_archive(tmp_path / "archive")
    assert archive.audit().balanced
    rows = archive.dataset().to_table(["objectId", "candid", "obs_night"])
    assert len(rows) == ALERTS
    assert len(set(rows["candid"].to_pylist())) == ALERTS
    measured = measure(archive.uri)
    assert measured["alerts"] == ALERTS
    assert measured["objects"] == len(set(rows["objectId"].to_pylist()))
    assert measured["cpu_s"] > measured["index_cpu_s"] > 0
    assert measured["bytes"] == pytest.approx(ALERTS * 1500, rel=0.9)
    reading = measure_reading(archive.uri)
    assert reading.keys() == {"two columns", "group-by"}
    assert all(took.keys() == {"night_s", "hourly_s"} for took in reading.values())
