"""Copy an archive to another storage, also while it is written and compacted.

A copy file by file of a running archive is torn: entries that are compacted meanwhile are missing,
and files lie in it that its ledger does not name. This copy follows the ledger as of one moment:

1. the identity, so that the copy is known by its archive
2. the schemas, and each file that an entry names
3. the files of the ledger, in the order of their entries
4. the bounds in the identity

So what the ledger of a copy names is in the copy. Nothing is copied twice: a second copy to the
same place takes what is new. If a copy is interrupted, files of later entries may lie in it, and an
archive refuses to start on it: repeat the copy.

A folder with results of a service is a small archive, and is copied in the same way.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from finkray.errors import LedgerError, SettingsError, StorageError
from finkray.ledger.entry import log_path
from finkray.ledger.follow import mark_of
from finkray.ledger.identity import IDENTITY_PATH, Identity, raise_bounds, read_identity
from finkray.ledger.lease import refuse_if_held
from finkray.ledger.log import staging_folder
from finkray.ledger.read import LedgerFileGone, LedgerReading, read_entries, read_files, read_state
from finkray.storage.contract import PublishOutcome, Storage
from finkray.storage.layout import SCHEMAS_FOLDER

_STAGING = staging_folder(0)
"""Folder of files that are being copied: the first start of an archive on the copy deletes it."""

_AT_ONCE = 256
"""Files that appear together: each call of `publish` flushes folders."""

_CHUNK_BYTES = 4 << 20

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a copy did.

    Attributes
    ----------
    entries
        of the ledger of the copy
    files
        how many files of alerts, dead letters or results were copied
    size_bytes
        their size
    missing
        paths of files that the ledger names and the archive does not have: an audit of either
        reports them
    """

    entries: int
    files: int
    size_bytes: int
    missing: tuple[str, ...]


def copy_archive(source: Storage, target: Storage, tell: Tell = lambda _: None) -> BackupResult:
    """Copy an archive, or what is new in it since the last copy to the same place.

    Parameters
    ----------
    source
        of the archive, which may run
    target
        of the copy: empty, or an earlier copy of the same archive
    tell
        gets a line on progress

    Raises
    ------
    SettingsError
        if there is no archive, or something else lies where the copy belongs
    LedgerError
        if the ledger was rebuilt since the last copy, or an archive has written to the copy
    ArchiveHeld
        if an archive runs on the copy
    StorageError
        if a storage refuses; call again
    """
    identity = begin_copy(source, target)
    target.delete_folder(_STAGING)
    known = read_state(target).state.last_seq
    _refuse_other_ledger(source, target, known)
    files = _FileCopies(source, target, tell)
    while True:
        reading = read_state(source)
        through = _published_through(source, reading)
        _copy_schemas(source, target)
        for entry in read_entries(source, known):
            if entry.seq > through:
                break
            for result in entry.superseded:
                files.missing -= result.paths
            for result in entry.claims:
                for file in result.all_files:
                    files.add(file.path, anew=file.path in entry.remade)
        files.publish()
        try:
            _copy_ledger(source, target, reading, through)
        except LedgerFileGone:
            known = max(known, through)  # its files are there; only the ledger is read again
            continue
        break
    copied = read_state(target).state
    raise_bounds(target, identity.archive_id, copied.epoch, copied.last_seq)
    return BackupResult(
        copied.last_seq + 1, files.count, files.size_bytes, tuple(sorted(files.missing))
    )


class _FileCopies:
    """Copies files that are not there yet; they appear some at a time, each whole."""

    def __init__(self, source: Storage, target: Storage, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._tell = tell
        self._staged: dict[str, str] = {}
        self.missing: set[str] = set()
        self.count = 0
        self.size_bytes = 0

    def add(self, path: str, *, anew: bool) -> None:
        """Copy a file, if the archive has it; one that is there stays, or is replaced `anew`."""
        if path in self._staged:
            return
        if self._target.size_bytes(path) is not None:
            if not anew:
                return
            self._target.delete([path])
        staged = f"{_STAGING}/{self.count}"
        try:
            self.size_bytes += _copy(self._source, path, self._target, staged, path)
        except FileNotFoundError:
            self.missing.add(path)
            return
        self._staged[path] = staged
        self.count += 1
        if len(self._staged) == _AT_ONCE:
            self.publish()

    def publish(self) -> None:
        """Let the files appear that were copied."""
        _publish(self._target, self._staged)
        self._staged.clear()
        self._tell(f"{self.count:,} files are copied")


def begin_copy(source: Storage, target: Storage) -> Identity:
    """Return the identity of the archive; give it to the copy if that is new.

    Raises
    ------
    SettingsError, ArchiveHeld, StorageError
        as `copy_archive`
    """
    identity = read_identity(source)
    if identity is None:
        raise SettingsError(f"there is no archive in {source.uri}: it has no {IDENTITY_PATH}")
    there = read_identity(target)
    if there is None:
        if next(iter(target.walk("")), None) is not None:
            raise SettingsError(
                f"{target.uri} has files, and is no copy of an archive: choose an empty folder"
            )
        target.create(IDENTITY_PATH, Identity(identity.archive_id).to_bytes())
    elif there.archive_id != identity.archive_id:
        raise SettingsError(
            f"{target.uri} is the folder of archive {there.archive_id}, not a copy of "
            f"{identity.archive_id}: choose an empty folder"
        )
    refuse_if_held(target)
    return identity


def _refuse_other_ledger(source: Storage, target: Storage, known: int) -> None:
    """Check that the ledger of the copy, up to entry `known`, is the beginning of the archive's."""
    last = [next(read_entries(each, known - 1), None) for each in (target, source)]
    copied, own = (None if entry is None else mark_of(entry) for entry in last)
    if known >= 0 and copied != own:
        raise LedgerError(
            f"entry {known} of the copy {target.uri} is not that of the archive: its ledger was "
            "rebuilt since, or an archive has written to the copy. Copy to an empty folder"
        )


def _published_through(source: Storage, reading: LedgerReading) -> int:
    """Return the last entry up to which the files of all entries are published."""
    through = max(
        reading.state.published_through,
        max((segment.last_seq for segment in reading.files.segments), default=-1),
    )
    for seq in range(through + 1, reading.state.last_seq + 1):
        finals = reading.unpublished.get(seq, {})
        if any(source.size_bytes(final) is None for final in finals):
            break
        through = seq
    return through


def _copy_schemas(source: Storage, target: Storage) -> None:
    for file in source.walk(SCHEMAS_FOLDER):
        if target.size_bytes(file.path) is None and (data := source.read(file.path)) is not None:
            target.create(file.path, data)


def _copy_ledger(source: Storage, target: Storage, reading: LedgerReading, through: int) -> None:
    """Copy the files of a ledger, and delete those of the copy whose entries are in wider ones.

    Raises
    ------
    LedgerFileGone
        if one vanished
    """
    for segment in reading.files.segments:
        if target.size_bytes(segment.path) is not None:
            continue
        staged = f"{_STAGING}/{segment.path.replace('/', '-')}"
        try:
            _copy(source, segment.path, target, staged, segment.path)
        except FileNotFoundError as error:
            raise LedgerFileGone(segment.path) from error
        _publish(target, {segment.path: staged})
    for seq in range(reading.files.log_seqs.start, through + 1):
        if target.size_bytes(log_path(seq)) is None:
            if (data := source.read(log_path(seq))) is None:
                raise LedgerFileGone(log_path(seq))
            target.create(log_path(seq), data)
    target.delete(read_files(target).left_over)


def _copy(source: Storage, path: str, target: Storage, staged: str, final: str) -> int:
    """Stage a file of another storage, and return its size.

    Raises
    ------
    FileNotFoundError
        if it is not there
    """
    try:
        with source.open(path) as file, target.stage(staged, final) as sink:
            shutil.copyfileobj(file, sink, _CHUNK_BYTES)
            return int(file.tell())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(f"cannot copy {path} to {target.uri}: {error}") from error


def _publish(target: Storage, moves: dict[str, str]) -> None:
    outcomes = target.publish(moves)
    if lost := [final for final, outcome in outcomes.items() if outcome is PublishOutcome.LOST]:
        raise StorageError(f"{lost[0]} was copied and is gone: does another copy run? Repeat it")
