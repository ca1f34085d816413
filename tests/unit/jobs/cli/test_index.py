"""`finkray index`: what it builds and says."""

import json
import threading
from pathlib import Path

import pytest

from finkray.index.objects import ObjectIndex
from finkray.settings.model import Settings
from finkray.storage.local import LocalStorage
from jobs.commands.index import build_index
from tests.support.commands import Finkray
from tests.support.night_archives import NightArchive, random_sky


@pytest.fixture
def archive(tmp_path: Path) -> NightArchive:
    made = NightArchive(LocalStorage(tmp_path / "archive"))
    for n in range(3):
        made.put(random_sky(20, seed=n))
    return made


def test_the_index_is_built_and_its_state_told(archive: NightArchive, finkray: Finkray) -> None:
    before = finkray("index", "status")
    assert before.returncode == 0, before.stderr
    assert "0 alerts of 0 files in 0 runs" in before.stdout
    assert "60 alerts of 3 files are not indexed, look-ups read them directly" in before.stdout
    built = finkray("index", "build")
    assert built.returncode == 0, built.stderr
    assert built.stdout.startswith("60 alerts of 3 files in 1 runs, ")
    assert "not indexed" not in built.stdout
    again = json.loads(finkray("index", "build", "--json").stdout)
    assert again == json.loads(finkray("index", "status", "--json").stdout)
    assert (again["indexed_alerts"], again["unindexed_files"], again["runs"]) == (60, 0, 1)
    assert ObjectIndex.open(archive.storage).rows_of(["ZTF260000003"]).num_rows == 6


def test_without_an_archive_it_says_so(finkray: Finkray) -> None:
    for command in ("build", "status"):
        answer = finkray("index", command)
        assert answer.returncode == 2
        assert "there is no archive in" in answer.stderr


def test_a_request_to_stop_ends_the_command_after_a_step(archive: NightArchive) -> None:
    settings = Settings.model_validate({"archive": {"uri": archive.storage.uri}})
    stopping, lines = threading.Event(), []
    stopping.set()
    assert build_index(settings, stopping, lines.append).indexed_alerts == 60
    assert lines == ["60 alerts in 1 runs, to entry 4"]
