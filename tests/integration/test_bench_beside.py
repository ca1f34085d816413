"""The bench of services beside the archive, small, on the whole chain."""

import json
from pathlib import Path

import pytest

from bench.beside import main

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]


def test_every_alert_is_durable_and_has_a_class_and_all_is_reported(
    test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = ["--alerts", "600", "--warm", "200", "--sources", "2000"]
    words += ["--rate", "50", "--seconds", "4"]
    places = ["--data", str(test_data), "--folder", str(tmp_path), "--json", str(report)]
    assert main([*words, *places]) == 0
    told = json.loads(report.read_text())
    assert told["ratio"] == pytest.approx(told["beside_per_s"] / told["alone_per_s"])
    assert set(told["results_after_s"]) == {"classify", "crossmatch"}
    p50, p95, p99 = told["latency_s"]
    assert 0 < p50 <= p95 <= p99
    assert "beside 2 services" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
