"""The quick audit does a bounded amount of work for each file, so that a year can be audited."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.audit_year import CLAIMS_PER_ENTRY, FIRST_HOUR, GROUP_ENTRIES, ROWS, main, make_year
from finkray.audit.audit import audit
from finkray.ledger.identity import newest_files
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import StoredFile
from finkray.storage.local import LocalStorage

SMALL, LARGE = 4_000, 16_000


class CountingStorage(LocalStorage):
    """Count the calls for single files, and the files that lists return."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls: Counter[str] = Counter()

    def read(self, path: str) -> bytes | None:
        self.calls["read"] += 1
        return super().read(path)

    def size_bytes(self, path: str) -> int | None:
        self.calls["size_bytes"] += 1
        return super().size_bytes(path)

    def folders(self, folder: str) -> list[str]:
        self.calls["folders"] += 1
        return super().folders(folder)

    def walk(self, folder: str) -> Iterator[StoredFile]:
        for file in super().walk(folder):
            self.calls["listed"] += 1
            yield file


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    made = {files: tmp_path_factory.mktemp(f"year-{files}") for files in (SMALL, LARGE)}
    for files, root in made.items():
        make_year(root, files)
    return made


def test_each_file_is_listed_once_and_not_read(
    years: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    read = pq.ParquetFile.read_row_group

    def note(self: Any, group: int, **how: Any) -> Any:
        table = read(self, group, **how)
        groups.append(len(table))
        return table

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", note)
    for files, root in years.items():
        storage = CountingStorage(root)
        groups.clear()
        report = audit(storage)
        assert report.balanced
        assert report.archived == files * ROWS
        assert storage.calls["listed"] == files
        # The entries that are not compacted yet, each read a few times.
        assert storage.calls["read"] <= 5 * BLOCK
        assert storage.calls["size_bytes"] <= 5 * BLOCK
        # The ledger is read row group by row group, each a few times.
        assert max(groups) <= GROUP_ENTRIES * CLAIMS_PER_ENTRY
        assert sum(groups) <= 4 * files


def test_memory_grows_by_less_than_3_kb_a_file(years: dict[int, Path]) -> None:
    peaks = {files: _peak_bytes(root) for files, root in years.items()}
    assert (peaks[LARGE] - peaks[SMALL]) / (LARGE - SMALL) < 3_000


def test_the_benchmark_prints_its_figures_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--files", "600", "--folder", str(tmp_path)]) == 0
    assert "600 files: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def _peak_bytes(root: Path) -> int:
    """Peak resident memory of a process that audits once."""
    code = (
        "import resource, sys\n"
        "from finkray.audit.audit import audit\n"
        "from finkray.storage.local import LocalStorage\n"
        "from pathlib import Path\n"
        "assert audit(LocalStorage(Path(sys.argv[1]))).balanced\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_a_start_lists_the_files_of_the_last_day_alone(years: dict[int, Path]) -> None:
    """A year of ZTF has a topic for each night."""
    storage = CountingStorage(years[LARGE])
    listed = newest_files(storage, FIRST_HOUR + timedelta(days=365))
    (day,) = {path.split("/hour=")[0] for path in listed}
    assert day.endswith("year=2026/month=12/day=31")
    assert len(listed) == pytest.approx(LARGE / 365, abs=2)
    nights = 365
    assert storage.calls["folders"] < 2 * nights + 100
