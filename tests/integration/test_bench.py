"""The bench itself: ZTF on the chain that needs neither Ray nor Spark, LSST on ours."""

import json
from pathlib import Path

import pytest

from bench.__main__ import main

pytestmark = pytest.mark.kafka


@pytest.mark.nightly(
    "tests/unit/bench/test_figures.py::"
    "test_the_warm_rate_excludes_the_start_and_the_overall_rate_includes_it",
    "tests/unit/bench/test_hats_night.py::test_the_night_of_the_benchmark_has_all_its_alerts",
)
def test_a_measurement_archives_every_alert_and_reports(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = [
        *("--chains", "bare-loop", "--alerts", "700", "--rounds", "1", "--warm-after", "300"),
        *("--feeds", "containers,bare", "--visit", "120"),
        *("--data", str(test_data), "--folder", str(tmp_path), "--json", str(report)),
    ]
    assert main(words) == 0
    feeds = json.loads(report.read_text())["feeds"]
    assert {feed: found["bare-loop"]["median"]["alerts"] for feed, found in feeds.items()} == {
        "containers": 700,
        "bare": 700,
    }
    for feed in feeds:
        assert -10 < feeds[feed]["bare-loop"]["visit_s"] < 60
    found = feeds["containers"]["bare-loop"]["median"]
    assert found["warm_per_s"] > 0
    assert found["overall_per_s"] > 0
    assert found["cpu_s_per_1000"] is not None
    assert found["peak_rss_bytes"] > 10_000_000
    assert 30_000 < found["disk_bytes_per_alert"] < 66_000
    assert "bare-loop" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [report]


@pytest.mark.nightly(
    "tests/unit/bench/test_figures.py::"
    "test_the_warm_rate_excludes_the_start_and_the_overall_rate_includes_it",
)
@pytest.mark.ray
@pytest.mark.spark
@pytest.mark.timeout(600)
def test_our_chain_is_measured_too(test_data: Path, tmp_path: Path) -> None:
    """With few alerts: what is looked at is that they get through, and are counted and metered."""
    report = tmp_path / "report.json"
    words = [
        *("--chains", "finkray", "--feeds", "lsst", "--lsst-alerts", "60"),
        *("--rounds", "1", "--lsst-visit", "0"),
        *("--data", str(test_data), "--folder", str(tmp_path), "--json", str(report)),
    ]
    assert main(words) == 0
    found = json.loads(report.read_text())["feeds"]["lsst"]
    assert found["finkray"]["median"]["alerts"] == 60
    assert found["finkray"]["median"]["overall_per_s"] > 0
    assert found["finkray"]["median"]["peak_rss_bytes"] > 10**9


def test_without_the_packets_it_says_where_it_looked(tmp_path: Path) -> None:
    assert main(["--data", str(tmp_path)]) == 2
