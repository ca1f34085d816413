"""Check that a folder can hold an archive: files, hard links, room, one file system.

The fence of the ledger rests on looking for a file by its name after another process has created
it (`finkray.ledger.segment.covering`). An NFS client remembers for a while that a name did not
exist (nfs(5), `lookupcache`), unless it is mounted so that it does not.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from finkray.errors import StorageError
from finkray.storage.contract import StorageCheck
from finkray.text import bytes_text

MOUNTS_PATH: Final = Path("/proc/self/mountinfo")
"""The mounts that this process sees; see proc_pid_mountinfo(5)."""

_UNCACHED: Final = frozenset({"lookupcache=pos", "lookupcache=none", "noac"})
"""Any of these options makes an NFS client ask the server for a name that did not exist before. The
kernel shows `lookupcache=positive` so, and `actimeo=0` as four options that are 0."""


class Mount(NamedTuple):
    """A mounted file system: where, of which type, and all its options."""

    point: str
    type: str
    options: frozenset[str]


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
    except PermissionError as error:  # as of a folder that this user may not enter
        detail = f"{error.filename}: {error.strerror}: who may read and write there?"
        return StorageCheck(name, ok=False, detail=detail)


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
    _refuse_cached_lookups(root)
    return f"{root} is on a single one" if existing else "no folder exists yet"


def _refuse_cached_lookups(root: Path) -> None:
    try:
        mounts = MOUNTS_PATH.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return  # not Linux
    mount = mount_of(_nearest(root).resolve(), mounts)
    if mount is not None and caches_missing_names(mount):
        raise StorageError(
            f"{root} lies on {mount.type} ({mount.point}), whose client remembers for a while that "
            "a file did not exist: an archive that was taken over might not notice. Mount it with "
            "lookupcache=positive on every node"
        )


def mount_of(folder: Path, mounts: str) -> Mount | None:
    """Return the mount that a folder lies on. Pure.

    Parameters
    ----------
    folder
        absolute, without links
    mounts
        in the format of `/proc/self/mountinfo`
    """
    found = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        kind, _, super_options = after.split(" ", 2)
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        # Of two mounts on one folder the later one is seen.
        if folder.is_relative_to(point) and (found is None or len(point) >= len(found.point)):
            options = {*fields[5].split(","), *super_options.split(",")}
            found = Mount(point, kind, frozenset(options))
    return found


def caches_missing_names(mount: Mount) -> bool:
    """Return whether a client of the mount may still find no file after it was created. Pure."""
    if mount.type not in ("nfs", "nfs4"):
        return False
    no_attributes = {"acdirmin=0", "acdirmax=0"} <= mount.options
    return not (no_attributes or mount.options & _UNCACHED)
