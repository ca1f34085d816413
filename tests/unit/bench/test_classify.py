import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.classify import Measured, faults, main


def test_a_small_run_classifies_and_counts_every_alert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = ["--sources", "20000", "--alerts", "3000"]
    assert main([*words, "--folder", str(tmp_path), "--json", str(report)]) == 0
    figures = json.loads(report.read_text())
    assert figures["alerts"] == sum(figures["classes"].values()) == 3000
    assert {"RR*", "galaxy host candidate", "Unknown"} <= set(figures["classes"])
    assert "alerts/s to durable results" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_missing_and_uncounted_results_are_faults() -> None:
    good = Measured(10, 1, 1, 1.0, 10.0, 10.0, 0.1, 0.1, {"RR*": 4, "Unknown": 6})
    assert faults(good, 10) == []
    assert faults(good, 11) == ["10 results for 11 alerts"]
    assert faults(replace(good, classes={"Unknown": 9}), 10) == [
        "9 counted of 10 results",
        "no alert was found in the catalogue",
    ]
