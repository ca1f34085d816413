"""The bench itself, on the chain that needs neither Ray nor Spark."""

import json
from pathlib import Path

import pytest

from bench.__main__ import main

pytestmark = pytest.mark.kafka


def test_a_measurement_archives_every_alert_and_reports(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = [
        *("--chains", "bare-loop", "--alerts", "2300", "--rounds", "1", "--warm-after", "1000"),
        *("--lsst-alerts", "200", "--visit", "400"),
        *("--data", str(test_data), "--folder", str(tmp_path), "--json", str(report)),
    ]
    assert main(words) == 0
    feeds = json.loads(report.read_text())["feeds"]
    assert {feed: found["bare-loop"]["median"]["alerts"] for feed, found in feeds.items()} == {
        "containers": 2300,
        "bare": 2300,
        "lsst": 200,
    }
    assert feeds["lsst"]["bare-loop"]["visit_s"] is None
    for feed in ("containers", "bare"):
        assert -10 < feeds[feed]["bare-loop"]["visit_s"] < 60
    found = feeds["containers"]["bare-loop"]["median"]
    assert found["warm_per_s"] > 0
    assert found["overall_per_s"] > 0
    assert found["cpu_s_per_1000"] is not None
    assert found["peak_rss_bytes"] > 10_000_000
    assert 30_000 < found["disk_bytes_per_alert"] < 66_000
    assert "bare-loop" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [report]


def test_without_the_packets_it_says_where_it_looked(tmp_path: Path) -> None:
    assert main(["--data", str(tmp_path)]) == 2
