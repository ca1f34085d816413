import json
from pathlib import Path

import pytest

from bench.crossmatch import Measured, faults, main


def test_a_small_run_agrees_with_astropy_and_stays_within_its_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = ["--sources", "200000", "--batches", "6", "--memory-bytes", "3000000"]
    code = main([*words, "--folder", str(tmp_path), "--json", str(report)])
    assert code == 0
    exposures, sky = json.loads(report.read_text())["measured"]
    assert (exposures["alerts"], sky["alerts"]) == ("exposures", "sky")
    for measured in (exposures, sky):
        counts = {figures["matches"] for figures in measured["ways"].values()}
        assert len(counts) == 1
        assert counts.pop() > 1000
        assert 0 < measured["catalog_peak_bytes"] <= 3_000_000
    # All of the sky does not fit: shards are read again and again.
    assert sky["shards_read"] > 12
    printed = capsys.readouterr().out
    assert "bare k-d tree" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_other_matches_and_too_much_memory_are_faults() -> None:
    ways = {"ours": {"matches": 5.0}, "astropy": {"matches": 6.0}}
    measured = Measured(10, "sky", 0.0, 11, 10, 0, 0, 0, ways)
    assert faults([measured]) == [
        "10 sources, sky: 5 matches, 6 of astropy",
        "10 sources: 11 bytes of catalogue",
    ]
