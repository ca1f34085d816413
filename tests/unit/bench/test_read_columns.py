import json
from pathlib import Path

import pytest

from bench.read_columns import CASES, main


def test_each_case_is_measured_from_files_and_from_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    words = ["--alerts", "20", "--tries", "1", "--folder", str(tmp_path), "--json", str(report)]
    assert main(words) == 0
    measured = json.loads(report.read_text())
    assert set(measured) == set(CASES)
    assert all(ms > 0 for by_source in measured.values() for ms in by_source.values())
    assert "from Parquet" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [report]
