import errno
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finkray.settings.archive import ArchiveSettings
from finkray.settings.ingest import IngestSettings
from finkray.settings.kafka import KafkaSettings
from finkray.settings.model import Settings
from finkray.settings.ray import RaySettings
from finkray.settings.streamout import StreamoutSettings
from jobs.cluster.started_jobs import StartedJob, record_start
from jobs.commands.checks import (
    all_checks,
    java_check,
    kafka_checks,
    ray_check,
    simulator_checks,
    storage_checks,
    streamout_checks,
)

NOBODY = 65534


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_wrong_settings_end_the_checks(tmp_path: Path) -> None:
    path = tmp_path / "finkray.toml"
    path.write_text("[kafka]\nrefresh = 3\n")
    (answer,) = all_checks(path, tmp_path)
    assert not answer.ok
    assert "did you mean kafka.refresh_s?" in answer.detail


def test_a_kafka_that_does_not_answer_is_told_with_the_reason() -> None:
    port = closed_port()
    (answer,) = kafka_checks(KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"))
    assert not answer.ok
    assert "Connection refused" in answer.detail


def test_a_simulator_that_was_started_must_have_its_kafka(tmp_path: Path) -> None:
    (before,) = simulator_checks(Settings(), tmp_path)
    assert before.ok
    at = datetime(2026, 11, 24, tzinfo=UTC)
    record_start(tmp_path, StartedJob(name="simulator", job_id="simulator-1", started_at=at))
    (answer,) = simulator_checks(Settings(), tmp_path)
    assert not answer.ok
    assert "finkray logs simulator" in answer.detail


def test_an_option_that_librdkafka_does_not_know() -> None:
    (answer,) = kafka_checks(KafkaSettings(options={"fetch.nonsense": 1}))
    assert not answer.ok
    assert "fetch.nonsense" in answer.detail


def test_a_folder_that_takes_files_is_left_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    answers = list(storage_checks(ArchiveSettings(uri=str(root)), IngestSettings()))
    assert [answer.ok for answer in answers] == [True, True, True]
    assert list(root.iterdir()) == []


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT and some network file systems answer, which a test cannot mount everywhere."""

    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    writable, *_ = storage_checks(ArchiveSettings(uri=str(tmp_path)), IngestSettings())
    assert not writable.ok
    assert "no hard links (Operation not permitted)" in writable.detail
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b"
    writable, *_ = storage_checks(ArchiveSettings(uri=str(root)), IngestSettings())
    assert writable.ok
    assert f"can be made in {tmp_path}" in writable.detail
    assert not root.exists()


def test_a_folder_that_may_not_be_entered_is_a_no_to_each(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:  # who may enter each folder
        os.seteuid(NOBODY)
    try:
        archive = ArchiveSettings(uri=str(closed / "archive"))
        answers = list(storage_checks(archive, IngestSettings()))
    finally:
        os.seteuid(user)
    assert [answer.ok for answer in answers] == [False, False, False]
    assert all("Permission denied" in answer.detail for answer in answers)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("")
    writable, *_ = storage_checks(ArchiveSettings(uri=str(tmp_path / "archive")), IngestSettings())
    assert not writable.ok


def test_too_little_room(tmp_path: Path) -> None:
    ingest = IngestSettings(held_bytes="1000 PiB")
    _, space, _ = storage_checks(ArchiveSettings(uri=str(tmp_path)), ingest)
    assert not space.ok
    assert "less than the 1000 PiB that may be held" in space.detail


@pytest.mark.parametrize(
    ("options", "is_fine"),
    [
        ("rw,vers=4.2,hard", False),
        ("rw,vers=4.2,hard,lookupcache=all", False),
        ("rw,vers=4.2,hard,lookupcache=pos", True),
        ("rw,vers=4.2,hard,lookupcache=none", True),
        ("rw,vers=4.2,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0", True),
        ("rw,vers=4.2,acdirmin=0,acdirmax=60", False),
        ("rw,vers=3,noac", True),
    ],
)
@pytest.mark.parametrize("kind", ["nfs", "nfs4"])
def test_a_network_file_system_that_remembers_missing_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, *, is_fine: bool
) -> None:
    """The folder lies on the mount that is nearest above it; names of mounts have escapes."""
    folder = tmp_path / "an archive"
    folder.mkdir()
    point = str(tmp_path.resolve() / "an archive").replace(" ", "\\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:45 / {point} rw,noatime shared:2 - {kind} server:/data {options}\n"
        "41 22 0:46 / /elsewhere rw - nfs4 server:/other rw\n"
    )
    monkeypatch.setattr("finkray.storage.local_checks.MOUNTS_PATH", mounts)
    *_, answer = storage_checks(ArchiveSettings(uri=str(folder)), IngestSettings())
    assert answer.ok == is_fine
    if not is_fine:
        assert f"lies on {kind} ({folder})" in answer.detail
        assert "Mount it with lookupcache=positive" in answer.detail
    *_, beside = storage_checks(ArchiveSettings(uri=str(tmp_path / "other")), IngestSettings())
    assert beside.ok


def test_ray_and_java(tmp_path: Path) -> None:
    assert "brings up a local one" in ray_check(tmp_path, RaySettings(address="local")).detail
    answer = ray_check(tmp_path, RaySettings(address=f"127.0.0.1:{closed_port()}"))
    assert not answer.ok
    assert java_check().ok


def test_the_kafka_of_streaming_out_is_asked_if_it_is_another_one() -> None:
    assert list(streamout_checks(Settings())) == []
    (check,) = streamout_checks(
        Settings(streamout=StreamoutSettings(bootstrap_servers="127.0.0.1:1"))
    )
    assert (check.name, check.ok) == ("streamout kafka", False)
    assert check.detail.startswith("127.0.0.1:1: ")
