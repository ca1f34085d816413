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
    for uri in ("s3://bucket/a b/c", "s3://bucket", "gs://bucket/night%20", "az://container/a"):
        assert uri_of(uri) == uri
    assert uri_of("s3://bucket/a/") == "s3://bucket/a"
    for uri in ("hdfs://name-node:8020/archive/a b", "hdfs://[::1]:8020", "hdfs://10.0.0.1:8020/a"):
        assert uri_of(uri) == uri
    assert uri_of("hdfs://name-node:8020//a/") == "hdfs://name-node:8020/a"
    with pytest.raises(ValueError, match=r"is not supported.*give the folder, or file:///"):
        uri_of("ftp://host/archive")
    for uri in ("hdfs://", "hdfs:///archive", "hdfs://user@host:8020/archive"):
        with pytest.raises(ValueError, match="names no name node"):
            uri_of(uri)
    with pytest.raises(ValueError, match="HADOOP_CONF_DIR"):
        uri_of("hdfs://unknown-name-service/archive")
    for uri in ("hdfs://host:1/a:b", "hdfs://host:1/a//b", "hdfs://host:1/a/../b"):
        with pytest.raises(ValueError, match=r"leave it out|do not keep"):
            uri_of(uri)
    for uri in ("s3://", "s3:///archive", "s3://b_@d/archive"):
        with pytest.raises(ValueError, match="names no bucket"):
            uri_of(uri)
    for uri in ("s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/a*"):
        with pytest.raises(ValueError, match=r"leave it out|do not keep"):
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


def test_an_unknown_option_of_a_store_is_refused_without_its_value() -> None:
    for options in (
        {"secret_access_keey": "hunter2"},
        {"access_key_id": "hunter2"},
        {"timeout_s": "hunter2"},
        {"root_certificate_file": "/no/such/hunter2"},
    ):
        with pytest.raises(ValidationError) as refused:
            ArchiveSettings(uri="s3://bucket/archive", options=options)
        assert "hunter2" not in str(refused.value)
    keys = {"access_key_id": "hunter2", "secret_access_key": "hunter2"}
    settings = ArchiveSettings(uri="s3://bucket/archive", options=keys)
    assert "hunter2" not in repr(settings)
    assert open_storage(settings).uri == "s3://bucket/archive"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicas": "hunter2"}, "takes no option replicas: it takes settings of Hadoop"),
        ({"timeout_s": "hunter2"}, "timeout_s must be a number"),
        ({"kerberos_keytab": "/hunter2"}, "needs kerberos_principal"),
    ],
)
def test_an_option_that_hdfs_does_not_take_is_refused(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        ArchiveSettings(uri="hdfs://name-node:8020/archive", options=options)
    assert "hunter2" not in str(refused.value)


def test_a_location_travels_and_does_not_show_its_options() -> None:
    location = StorageLocation("s3://bucket", {"secret_access_key": "hunter2"})
    assert "hunter2" not in repr(location)
    assert pickle.loads(pickle.dumps(location)) == location
    assert len({location, StorageLocation("s3://bucket", {"secret_access_key": "hunter2"})}) == 1
