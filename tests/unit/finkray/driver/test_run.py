"""In which order the archive refuses, connects and takes over."""

import os
import subprocess
import sys
from pathlib import Path

from finkray.host.exit_codes import DaemonExit
from finkray.ledger.identity import IDENTITY_PATH, Identity
from finkray.ledger.lease import LEASE_PATH, Lease
from finkray.storage.local import LocalStorage


def archive_without_ray(folder: Path, more: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the archive of a folder once; no Ray answers at the address of its settings."""
    config = folder / "finkray.toml"
    config.write_text(
        f"[archive]\nuri = '{folder / 'archive'}'\n{more}\n[ray]\naddress = '127.0.0.1:1'\n"
    )
    command = [sys.executable, "-m", "finkray.archive", "--unsupervised", "-c", str(config)]
    env = {**os.environ, "RAY_gcs_server_port_wait_time_s": "1"}  # one try to connect, of 41 s
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env=env
    )


def test_a_held_folder_is_refused_before_anything_else(tmp_path: Path) -> None:
    with Lease.acquire(LocalStorage(tmp_path / "archive"), ttl_s=300.0):
        ended = archive_without_ray(tmp_path)
    assert ended.returncode == DaemonExit.HELD, ended.stderr
    assert "the archive is held by" in ended.stderr


def test_without_ray_nothing_is_taken_over(tmp_path: Path) -> None:
    """A process that cannot serve takes no lease and begins no epoch."""
    ended = archive_without_ray(tmp_path)
    assert ended.returncode == DaemonExit.RESTART, ended.stderr
    storage = LocalStorage(tmp_path / "archive")
    assert storage.read(LEASE_PATH) is None
    assert not storage.files("ledger/log")


def test_a_folder_without_the_archive_of_the_settings_is_left_alone(tmp_path: Path) -> None:
    """An empty mount point waits for its disk; the folder of another archive is refused."""
    ended = archive_without_ray(tmp_path, "id = 'ours'")
    assert ended.returncode == DaemonExit.RESTART, ended.stderr
    assert "or its disk was unmounted" in ended.stderr
    storage = LocalStorage(tmp_path / "archive")
    assert storage.read(IDENTITY_PATH) is None
    storage.create(IDENTITY_PATH, Identity("another").to_bytes())
    ended = archive_without_ray(tmp_path, "id = 'ours'")
    assert ended.returncode == DaemonExit.FAILED, ended.stderr
    assert "is the folder of archive another now, not of ours" in ended.stderr
