"""Temporary folders go with their process, and no other process's folder does."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from finkray.host.process_id import ProcessId
from finkray.host.scratch import make_scratch

HOLD = """
import sys, time
from finkray.host.scratch import make_scratch
folder = make_scratch("spark")
(folder / "checkpoint").mkdir()
print(folder, flush=True)
time.sleep(300)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folders_of_killed_processes_are_deleted_and_no_others(temporary: Path) -> None:
    held = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env={"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        folders = []
        for process in held:
            assert process.stdout is not None
            folders.append(Path(process.stdout.readline().strip()))
        held[0].kill()
        held[0].wait()
        others = [
            temporary / "finkray-spark-0t0mj82k",
            temporary / folders[0].name.replace("spark", "other"),
            temporary / "-".join(["finkray-spark", "00000000", *folders[0].name.split("-")[3:]]),
        ]
        for other in others:
            other.mkdir()
        link = temporary / f"{folders[0].name}x"
        link.symlink_to(others[0])

        mine = make_scratch("spark")

        assert not folders[0].exists()
        assert all(each.is_dir() for each in (mine, folders[1], *others))
        assert others[0].exists()
        assert mine.stat().st_mode & 0o777 == 0o700
        assert mine != make_scratch("spark")
        assert mine.is_dir()
    finally:
        for process in held:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_a_folder_of_an_earlier_process_with_this_pid_is_deleted(temporary: Path) -> None:
    mine = make_scratch("spark")
    started = ProcessId.mine().started
    earlier = temporary / mine.name.replace(f"-{started}-", f"-{int(started) - 1}-")
    earlier.mkdir()
    make_scratch("spark")
    assert mine.is_dir()
    assert not earlier.exists()
