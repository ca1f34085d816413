"""A real file system that gets full and read-only: a tmpfs with a size limit.

Where a test may not mount (it takes root), a stand-in refuses in the same places: a file takes the
place of the folders that the archive writes into.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol


class SmallDisk(Protocol):
    """A disk below `root`."""

    root: Path
    real: bool

    def fill(self) -> None:
        """Leave no free space."""

    def make_room(self) -> None:
        """Leave plenty of free space."""

    def refuse_writing(self) -> None:
        """Mount it read-only."""

    def allow_writing(self) -> None:
        """Mount it writable."""


class Tmpfs:
    """A tmpfs with a size limit."""

    real = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.root)], check=True)

    def fill(self) -> None:
        # tmpfs refuses a limit below what is used: this is what is used, and a little more.
        used = sum(f.stat().st_blocks * 512 for f in self.root.rglob("*") if f.is_file())
        self._remount(f"size={used // 1024 + 512}k")

    def make_room(self) -> None:
        self._remount("size=512m")

    def refuse_writing(self) -> None:
        self._remount("ro")

    def allow_writing(self) -> None:
        self._remount("rw")


class Obstructed:
    """A folder that stands in where a tmpfs cannot be mounted."""

    real = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def fill(self) -> None:
        self.refuse_writing()

    def make_room(self) -> None:
        self.allow_writing()

    def refuse_writing(self) -> None:
        for place in self._places():
            place.rename(place.with_name(f"{place.name}.aside"))
            place.write_text("not a folder")

    def allow_writing(self) -> None:
        for place in self._places():
            place.unlink()
            place.with_name(f"{place.name}.aside").rename(place)

    def _places(self) -> list[Path]:
        return [self.root / "archive" / "staging"]


@contextmanager
def small_disk(root: Path) -> Iterator[SmallDisk]:
    """Yield a disk of 512 MiB at `root`, or the folder that stands in."""
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(root)]
    with suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield Tmpfs(root)
            finally:
                subprocess.run(["umount", "--lazy", str(root)], check=True)
            return
    yield Obstructed(root)
