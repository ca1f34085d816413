"""One door to every storage: by scheme, with options or without."""

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from finkray.settings.model import ArchiveSettings
from finkray.storage.opening import StorageLocation, absolute, open_storage


def uri_of(uri: str) -> str:
    return open_storage(StorageLocation(uri)).uri


def test_a_uri_means_a_storage_or_is_refused(tmp_path: Path) -> None:
    assert uri_of(f"file://{tmp_path}/a%20b") == f"{tmp_path}/a b"
    assert uri_of(str(tmp_path)) == str(tmp_path)
    assert uri_of("memory://night/a") == "memory://night/a"
    for uri in ("s3://bucket/archive", "hdfs://name-node:8020/archive", "gs://bucket"):
        with pytest.raises(ValueError, match=r"is not supported.*give the folder, or file:///"):
            uri_of(uri)
    with pytest.raises(ValueError, match="three slashes"):
        uri_of("file://host/archive")
    with pytest.raises(ValueError, match="expected a name"):
        uri_of("memory:///archive")


def test_the_settings_of_an_archive_are_a_location(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_storage(ArchiveSettings()).uri == str(tmp_path / "archive")
    assert absolute(ArchiveSettings()) == StorageLocation(str(tmp_path / "archive"))


@pytest.mark.parametrize("uri", ["archive", "file:///archive", "memory://archive"])
def test_a_storage_refuses_options_it_does_not_take_without_showing_them(uri: str) -> None:
    options = {"secret_access_key": "hunter2", "region": "x1-north"}
    with pytest.raises(ValidationError, match=r"takes no options, found region, secret") as e:
        ArchiveSettings(uri=uri, options=options)
    assert "hunter2" not in str(e.value)
    assert "x1-north" not in str(e.value)


def test_a_location_travels_and_does_not_show_its_options() -> None:
    location = StorageLocation("s3://bucket", {"secret_access_key": "hunter2"})
    assert "hunter2" not in repr(location)
    assert pickle.loads(pickle.dumps(location)) == location
    assert len({location, StorageLocation("s3://bucket", {"secret_access_key": "hunter2"})}) == 1
