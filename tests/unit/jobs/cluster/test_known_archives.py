"""A start tells a folder whose archive vanished from that of a new archive."""

from pathlib import Path

import pytest

from finkray.errors import FinkrayError
from finkray.ledger.identity import IDENTITY_PATH, read_identity
from finkray.ledger.log import Ledger
from finkray.settings.model import Settings
from finkray.storage.local import LocalStorage
from jobs.cluster.known_archives import refuse_vanished, remember_archive
from tests.support.commands import Finkray


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"archive": {"uri": str(tmp_path / "archive")}})


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "archive")


def test_a_folder_that_was_never_started_is_that_of_a_new_archive(
    tmp_path: Path, settings: Settings
) -> None:
    refuse_vanished(tmp_path, settings)
    remember_archive(tmp_path, settings)  # it has failed before it had an identity
    refuse_vanished(tmp_path, settings)
    assert not (tmp_path / "archives.json").exists()


def test_a_disk_that_is_not_mounted_is_no_new_archive(
    tmp_path: Path, settings: Settings, storage: LocalStorage
) -> None:
    Ledger.take_over(storage)
    remember_archive(tmp_path, settings)
    refuse_vanished(tmp_path, settings)
    storage.root.rename(tmp_path / "unmounted")
    for _ in range(2):
        with pytest.raises(FinkrayError, match=r"not mounted.*--new-archive"):
            refuse_vanished(tmp_path, settings)
        storage.root.mkdir(exist_ok=True)
    storage.root.rmdir()
    (tmp_path / "unmounted").rename(storage.root)
    refuse_vanished(tmp_path, settings)


def test_another_disk_is_refused_and_can_be_accepted(
    tmp_path: Path, settings: Settings, storage: LocalStorage
) -> None:
    Ledger.take_over(storage)
    remember_archive(tmp_path, settings)
    storage.root.rename(tmp_path / "mine")
    Ledger.take_over(storage)
    with pytest.raises(FinkrayError, match="mount the right disk"):
        refuse_vanished(tmp_path, settings)
    remember_archive(tmp_path, settings)  # as after a start with --new-archive
    refuse_vanished(tmp_path, settings)


def test_a_lost_identity_or_ledger_is_left_to_the_archive(
    tmp_path: Path, settings: Settings, storage: LocalStorage
) -> None:
    Ledger.take_over(storage)
    remember_archive(tmp_path, settings)
    found = read_identity(storage)
    assert found is not None
    storage.delete([IDENTITY_PATH])
    refuse_vanished(tmp_path, settings)
    storage.create(IDENTITY_PATH, b"damaged")
    refuse_vanished(tmp_path, settings)
    storage.replace(IDENTITY_PATH, found.to_bytes())
    storage.delete_folder("ledger")
    refuse_vanished(tmp_path, settings)


def test_a_start_is_refused_before_ray_is_started(finkray: Finkray, tmp_path: Path) -> None:
    (tmp_path / "finkray.toml").write_text("[archive]\nuri = 'archive'\n")
    settings = Settings.model_validate({"archive": {"uri": str(tmp_path / "archive")}})
    storage = LocalStorage(tmp_path / "archive")
    Ledger.take_over(storage)
    (tmp_path / "state").mkdir(mode=0o700)
    remember_archive(tmp_path / "state", settings)
    storage.delete_folder("")
    answer = finkray("start", "archive", "-c", "finkray.toml")
    assert answer.returncode == 1
    assert "its disk is not mounted, or the folder was deleted" in answer.stderr
    assert "local Ray" not in answer.stdout
