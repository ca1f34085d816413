"""The bench of storages archives what it stages, and starts a made archive."""

from pathlib import Path

import pytest

from bench.stores import CLAIMS_PER_ENTRY, ROWS, main, measure
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage


def test_each_file_is_archived_and_the_time_until_it_is_visible_is_taken(
    quick_folder: Path,
) -> None:
    storage = LocalStorage(quick_folder)
    found = measure(storage, file_bytes=1000, entries=3, threads=2)
    assert read_state(storage).state.balance().archived == 3 * CLAIMS_PER_ENTRY * ROWS
    assert [file.size_bytes for file in storage.walk("alerts")] == [1000] * 3 * CLAIMS_PER_ENTRY
    assert len(found.visible_s) == 3


def test_the_command_prints_a_row_for_each_size_and_leaves_nothing(
    quick_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(quick_folder), "--mib", "0.1", "0.2", "--entries", "2", "--files", "900"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("folder") == 2
    assert [path for path in quick_folder.rglob("*") if path.is_file()] == []
