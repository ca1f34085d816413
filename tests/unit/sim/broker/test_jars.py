"""The cache of Kafka's jars, without the network: what is whole, what is not, where it is."""

import hashlib
from pathlib import Path

import pytest

from finkray.errors import KafkaUnavailable
from finkray.host.java import find_java
from sim.broker import jars


def test_the_cache_is_where_the_user_says() -> None:
    at = jars.cache_folder
    assert at({"FINKRAY_CACHE": "/one", "XDG_CACHE_HOME": "/two"}) == Path("/one")
    assert at({"XDG_CACHE_HOME": "/two"}) == Path("/two/finkray")
    assert at({}) == Path.home() / ".cache" / "finkray"


def test_what_is_missing_unknown_or_changed_is_named(tmp_path: Path) -> None:
    wanted = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.jar", "b.jar")}
    (tmp_path / "a.jar").write_bytes(b"a.jar")
    (tmp_path / "b.jar").write_bytes(b"b.jar")
    assert jars.differences(tmp_path, wanted) == []

    (tmp_path / "a.jar").write_bytes(b"a.ja")
    (tmp_path / "b.jar").rename(tmp_path / "c.jar")
    assert jars.differences(tmp_path, wanted) == [
        "b.jar is missing",
        "c.jar is unknown",
        "a.jar has another checksum",
    ]


def test_the_broker_and_a_binding_for_its_log_are_pinned() -> None:
    pinned = jars._read_checksums(jars._CHECKSUMS.read_text())
    assert {"kafka_2.13-4.1.1.jar", "log4j-slf4j-impl-2.24.3.jar"} <= pinned.keys()
    assert all(len(checksum) == 64 for checksum in pinned.values())


def test_a_fetch_that_fails_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A repository that is an empty folder: as good as no network.
    settings = tmp_path / "settings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="none"/><resolvers><filesystem name="none">'
        f'<artifact pattern="{tmp_path}/[artifact].[ext]"/></filesystem></resolvers></ivysettings>'
    )
    monkeypatch.setenv("FINKRAY_IVY_SETTINGS", str(settings))
    cache = tmp_path / "cache"
    with pytest.raises(KafkaUnavailable, match=r"kafka_2\.13;4\.1\.1: not found"):
        jars.kafka_jars(find_java(), cache)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
