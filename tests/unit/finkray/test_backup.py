"""A backup has what could not be made again, and services continue on it."""

from pathlib import Path

import pytest

from finkray.audit.audit import audit
from finkray.backup import back_up
from finkray.errors import SettingsError
from finkray.outliers.location import storage_beside
from finkray.outliers.thumb_log import ThumbLog
from finkray.storage.local import LocalStorage
from tests.support.commands import Finkray
from tests.support.serving import balanced, results, serve
from tests.support.small_archives import SmallArchive


def test_results_and_thumbs_are_in_the_backup_and_what_can_be_made_again_is_not(
    small: SmallArchive, tmp_path: Path
) -> None:
    target = LocalStorage(tmp_path / "backup")
    small.put(0, 9)
    serve(small)
    small.put(10, 19)
    ThumbLog(storage_beside(small.storage, None)).append("up", "me", alert_id=1)
    small.storage.create("streamout/bright.json", b"{}")
    small.storage.create("hats/nights.json", b"{}")
    small.storage.create("index/steps/1", b"{}")
    done = back_up(small.storage, target)
    assert (done.files, done.missing) == (3, ())
    assert {file.path.split("/")[0] for file in target.walk("")} == {
        *("alerts", "schemas", "ledger", "identity.json"),
        *("science", "outliers", "streamout"),
    }
    assert [each.user for each in ThumbLog(storage_beside(target, None)).entries()] == ["me"]
    assert audit(target, deep="all").balanced
    # The service computes what the backup lacks, and nothing twice.
    copy = SmallArchive(target)
    serve(copy)
    assert balanced(copy)
    assert results(copy)["kafka_offset"].to_pylist() == [*range(20)]

    small.storage.replace("streamout/bright.json", b'{"state": "paused"}')
    again = LocalStorage(tmp_path / "again")
    assert back_up(small.storage, again).files == 3
    small.put(20, 29)
    assert back_up(small.storage, again).files == 1
    assert again.read("streamout/bright.json") == b'{"state": "paused"}'


def test_a_backup_lies_outside_of_the_archive(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "archive")
    SmallArchive(storage).put(0, 9)
    for inside in (storage, storage.below("backup")):
        with pytest.raises(SettingsError, match="choose another folder"):
            back_up(storage, inside)


def test_the_command_says_what_it_copied_and_what_the_archive_lacks(
    finkray: Finkray, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path / "archive")
    small = SmallArchive(storage)
    small.put(0, 9)
    done = finkray("backup", "copy")
    assert done.returncode == 0, done
    assert "copy has the archive up to entry 1 of its ledger: 1 new files" in done.stdout
    (gone,) = (file.path for file in storage.walk("alerts"))
    small.put(10, 19)
    storage.delete([gone])
    assert finkray("backup", "copy").returncode == 0, "the backup has the file"
    done = finkray("backup", "another")
    assert done.returncode == 1
    assert gone in done.stdout
    assert finkray("backup", "nowhere://x").returncode == 2
