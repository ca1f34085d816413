"""Check that a folder can hold an archive: files, hard links, room, one file system."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from finkray.errors import StorageError
from finkray.storage.contract import StorageCheck
from finkray.text import bytes_text


def check_folder(root: Path, needed_bytes: int) -> Iterator[StorageCheck]:
    """Check a folder, or where it would be created; see `Storage.checks`."""
    yield _check("storage", lambda: _writable(root))
    yield _check("space", lambda: _space(root, needed_bytes))
    yield _check("file system", lambda: _one_file_system(root))


def _check(name: str, question: Callable[[], str]) -> StorageCheck:
    try:
        return StorageCheck(name, ok=True, detail=question())
    except StorageError as error:
        return StorageCheck(name, ok=False, detail=str(error))


def _nearest(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _writable(root: Path) -> str:
    folder = _nearest(root)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".finkray-check-") as probe:
            probe.write(b"?")
            probe.flush()
            os.fsync(probe.fileno())
            _link_and_unlink(Path(probe.name))
    except OSError as error:
        raise StorageError(f"{folder} takes no files: {error.strerror}") from error
    return f"{root} takes files" if folder == root else f"{root} can be made in {folder}"


def _link_and_unlink(probe: Path) -> None:
    """Make a hard link, as the archive does for each published file and each ledger entry."""
    second = probe.with_name(f"{probe.name}-link")
    try:
        os.link(probe, second)
    except OSError as error:
        raise StorageError(
            f"{probe.parent} takes files, but no hard links ({error.strerror}), without which "
            "nothing can be published there: put the archive on a file system that has them"
        ) from error
    finally:
        second.unlink(missing_ok=True)


def _space(root: Path, needed_bytes: int) -> str:
    free_bytes = shutil.disk_usage(_nearest(root)).free
    text = f"{bytes_text(free_bytes)} free"
    if free_bytes < needed_bytes:
        raise StorageError(f"{text}, less than the {bytes_text(needed_bytes)} that may be held")
    return text


def _one_file_system(root: Path) -> str:
    """Check that the folders share a device: publishing links files from staging to alerts."""
    folders = [root, *(root / name for name in ("alerts", "deadletters", "ledger", "staging"))]
    existing = [folder for folder in folders if folder.exists()]
    devices = {folder.stat().st_dev for folder in existing}
    if len(devices) > 1:
        raise StorageError(f"{root} spans {len(devices)} file systems: files cannot be renamed")
    return f"{root} is on a single one" if existing else "no folder exists yet"
