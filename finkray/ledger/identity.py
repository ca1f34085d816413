"""The archive's identity, and the comparison of a ledger with what else is in its folder.

``identity.json`` in the archive's folder, format 1::

    {"format": 1, "archive_id": "5e…", "epoch": 3, "last_seq": 815}

`archive_id` is random and stays with the archive; every entry of the ledger repeats it. `epoch`
and `last_seq` are lower bounds of what the ledger has: they are raised at each start and stop, and
with each block of entries that is compacted. So a folder that vanishes under an archive (a disk
that is unmounted) does not become a new archive, and a ledger that was restored, lost or rolled
back does not pass for the present one:

- files of data but no ledger, or an identity but no ledger: the ledger is lost
- a ledger that ends before `last_seq` or `epoch`: it is older than the identity
- files whose names have offsets that no claim has: the ledger is older than its files. A file is
  published after its claim was committed, so none may exist. The newest `NEWEST_FOLDERS` folders of
  all topics are looked at: of a year of ZTF, with a topic for each night, those of the last night.
  Folders of times to come, made by a producer's wrong clock, would hide them, and do not count

A ledger that was rolled back while its archive runs is found at the next commit
(`finkray.ledger.rollback`). One that was rolled back after its archive was killed, by fewer than
`finkray.ledger.segment.BLOCK` entries since the last start, and whose lost claims have alerts of
older hours only, is not found here. Such files are `stray` in an audit, and no claim with the same
file names is committed (`finkray.ledger.publish`).
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from finkray.errors import LedgerCorrupt, StorageError
from finkray.intervals import IntervalSet
from finkray.storage.contract import Storage
from finkray.storage.layout import (
    ALERTS_FOLDER,
    DEAD_LETTERS_FOLDER,
    parse_path,
    topic_id8,
)

if TYPE_CHECKING:  # Spark tasks load this module, and need no more than the identity
    from finkray.ledger.state import LedgerState

IDENTITY_PATH = "identity.json"
FORMAT = 1

NEWEST_FOLDERS = 24
"""How many of the newest folders (hours of alerts, days of dead letters) are compared with the
ledger at a start: a night fits, and its files are listed, not opened."""

_DATE_LEVELS = ("year", "month", "day", "hour")

_FILES_NAMED = 3

_Offsets = dict[tuple[str, int, str], list[IntervalSet]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """The content of the identity file; the module documents the fields."""

    archive_id: str
    epoch: int = 0
    last_seq: int = -1

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return json.dumps({"format": FORMAT} | asdict(self)).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Identity:
        """Parse what `to_bytes` returned.

        Raises
        ------
        LedgerCorrupt
            if it is no identity, or of a later format
        """
        try:
            raw = json.loads(data)
            if raw["format"] != FORMAT:
                raise LedgerCorrupt(f"{IDENTITY_PATH} was written by a later version of finkray")
            return cls(str(raw["archive_id"]), int(raw["epoch"]), int(raw["last_seq"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerCorrupt(
                f"{IDENTITY_PATH} is not the identity of an archive ({type(error).__name__}: "
                f"{error}): restore it from a copy, or delete it if the ledger is whole"
            ) from error


def read_identity(storage: Storage) -> Identity | None:
    """Return the identity of an archive; None if it has none (yet)."""
    data = storage.read(IDENTITY_PATH)
    return None if data is None else Identity.from_bytes(data)


def establish(storage: Storage, found: Identity | None, state: LedgerState) -> Identity:
    """Return the identity of an archive; create it for a new one, or for one that has none.

    Parameters
    ----------
    storage
        of the archive
    found
        the identity in the folder
    state
        of the ledger; `refuse_older_ledger` has accepted it
    """
    if found is not None:
        return found
    if state.archive_id is not None:
        log.warning("%s of the archive is missing; it is written anew", IDENTITY_PATH)
    new = Identity(state.archive_id or secrets.token_hex(16), state.epoch, state.last_seq)
    if storage.create(IDENTITY_PATH, new.to_bytes()):
        return new
    # Another archive has created it in this moment; the ledger decides which of the two goes on.
    other = read_identity(storage)
    if other is None:
        raise StorageError(f"{IDENTITY_PATH} exists and cannot be read: try again")
    return other


def raise_bounds(storage: Storage, archive_id: str, epoch: int, last_seq: int) -> None:
    """Record that the ledger has this epoch and entry; nothing is ever lowered."""
    found = read_identity(storage)
    if found is None or found.archive_id != archive_id:
        return  # the folder is gone: the next entry is refused
    raised = replace(found, epoch=max(found.epoch, epoch), last_seq=max(found.last_seq, last_seq))
    if raised != found:
        storage.replace(IDENTITY_PATH, raised.to_bytes())


def refuse_if_gone(storage: Storage, archive_id: str) -> None:
    """Check that the folder is still the one of this archive.

    Raises
    ------
    StorageError
        if the folder has no identity: it was deleted, or its disk is not mounted
    LedgerCorrupt
        if the folder is that of another archive
    """
    found = read_identity(storage)
    if found is None:
        raise StorageError(
            "the folder was deleted, or its disk was unmounted: nothing is committed there; mount "
            f"it again, then the archive goes on. {storage.uri} has no {IDENTITY_PATH} any more"
        )
    if found.archive_id != archive_id:
        raise LedgerCorrupt(
            f"{storage.uri} is the folder of archive {found.archive_id} now, not of {archive_id}: "
            "mount the right one and start again"
        )


def newest_files(storage: Storage, now: datetime) -> list[str]:
    """Return the paths of files in the newest folders of alerts and of dead letters.

    List them before the ledger is read: another archive may commit and publish meanwhile. Folders
    of more than a day after `now` (UTC) are left out.
    """
    latest = f"{now + timedelta(days=1):year=%Y/month=%m/day=%d/hour=%H}"
    return [
        file.path
        for top, levels in ((ALERTS_FOLDER, _DATE_LEVELS), (DEAD_LETTERS_FOLDER, _DATE_LEVELS[:-1]))
        for folder in _newest_folders(storage, top, levels, latest)
        for file in storage.files(folder)
    ]


def refuse_older_ledger(
    found: Identity | None, state: LedgerState, files: Iterable[str], where: str
) -> None:
    """Check that a ledger belongs to its folder and is not older than what is in it. Pure.

    Parameters
    ----------
    found
        the identity in the folder, read before the ledger
    state
        of the ledger
    files
        as `newest_files` returns them, listed before the ledger was read
    where
        the archive, for the message

    Raises
    ------
    LedgerCorrupt
        if not; the message says what is wrong and what to do
    """
    if found is not None and state.archive_id not in (None, found.archive_id):
        raise LedgerCorrupt(
            f"{where} is the folder of archive {found.archive_id}, but its ledger is that of "
            f"archive {state.archive_id}: restore the ledger that belongs there"
        )
    claimed = _offsets_by_name(state)
    beyond = sorted(path for path in files if not _is_claimed(claimed, path))
    older = found is not None and (state.last_seq < found.last_seq or state.epoch < found.epoch)
    if not beyond and not older:
        return
    problems = []
    if older and found is not None:
        problems.append(
            f"its ledger ends with entry {state.last_seq} of epoch {state.epoch}, but it had entry "
            f"{found.last_seq} of epoch {found.epoch}"
        )
    if beyond:
        named = ", ".join(beyond[:_FILES_NAMED])
        problems.append(f"{len(beyond)} files have offsets that no claim has, as {named}")
    raise LedgerCorrupt(
        f"the ledger of {where} is lost, or older than the archive: {'; '.join(problems)}. "
        "Restore the newest ledger. If there is no copy, `finkray ledger rebuild` makes one of "
        "what is left of it and of the files that `finkray audit` lists as stray"
    )


def _offsets_by_name(state: LedgerState) -> _Offsets:
    """Return the offsets of claims by what a file's name has of their topic and partition."""
    found: _Offsets = {}
    for source, partition in state.partitions.items():
        key = source.topic, source.partition, topic_id8(source.topic_id)
        found.setdefault(key, []).append(partition.covered)
    return found


def _is_claimed(claimed: _Offsets, path: str) -> bool:
    """Return whether claims have the offsets in the name of a file; of a foreign file, True."""
    known = parse_path(path)
    return known is None or any(
        offsets.covers(known.first_offset, known.first_offset)
        and offsets.covers(known.last_offset, known.last_offset)
        for offsets in claimed.get((known.topic, known.partition, known.topic_id8), ())
    )


def _newest_folders(storage: Storage, top: str, levels: Sequence[str], latest: str) -> list[str]:
    """Return the folders of the newest hours, or days, of all topics, none later than `latest`.

    Of the levels above only the newest two dates are listed further: so the topics of a year cost
    a few lists each, and the last 24 hours may be of two days, months and years.
    """
    found = storage.folders(top)
    for level in levels:
        dates = {
            child: child.split("/", 2)[2]
            for folder in found
            for child in storage.folders(folder)
            if child.rpartition("/")[2].startswith(f"{level}=")
        }
        known = {date for date in dates.values() if date <= latest}
        newest = sorted(known)[-(NEWEST_FOLDERS if level == levels[-1] else 2) :]
        found = [child for child, date in dates.items() if date in newest]
    return found
