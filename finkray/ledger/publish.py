"""Commit claims and publish their files, and recover after a crash.

Committing and publishing are two steps: the ledger decides what is in the archive; publishing
only brings the folders in line with it, and any process may repeat it at any time.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from finkray.claim import StagedClaim
from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.entry import ClaimKind
from finkray.ledger.log import STAGING_FOLDER, Ledger
from finkray.storage.contract import PublishOutcome, Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery found and did.

    Attributes
    ----------
    published
        number of files of committed claims that were published
    lost
        final paths of files that do not exist: `finkray audit --redrive` writes them again
    cleared
        staging folders of earlier epochs that were deleted
    """

    published: int
    lost: tuple[str, ...]
    cleared: tuple[str, ...]


def commit(
    ledger: Ledger,
    storage: Storage,
    staged: Sequence[StagedClaim],
    kind: ClaimKind = "committed",
) -> int:
    """Make claims part of the archive.

    1. publish what an earlier call committed and could not publish
    2. check that every staged file exists and is whole, and that no other file has its final name
    3. append the entry: the commit point
    4. publish the files

    After a `StorageError` call again with the same claims (see `Ledger.append`): claims that
    were committed stay committed, and that call publishes their files.

    Returns
    -------
    int
        the number of the entry

    Raises
    ------
    Fenced, LedgerCorrupt, ValueError, StorageError
        as `Ledger.append`
    LedgerCorrupt
        also if a file that the ledger does not name has the final name of a new one
    StorageError
        also if a staged file does not exist: stage the claim again
    """
    publish(ledger, storage)
    for staged_claim in staged:
        _refuse_unstaged(ledger, storage, staged_claim)
        if kind == "committed":
            _refuse_taken(ledger, storage, staged_claim)
    seq = ledger.append(staged, kind)
    publish(ledger, storage)
    return seq


def _refuse_unstaged(ledger: Ledger, storage: Storage, staged_claim: StagedClaim) -> None:
    for file in staged_claim.result.all_files:
        at = staged_claim.staged.get(file.path)
        if at is None or storage.size_bytes(at) == file.size_bytes:
            continue
        # Committed and published by an earlier call that was interrupted.
        done = ledger.state.covers(staged_claim.result.claim)
        if not done or storage.size_bytes(file.path) != file.size_bytes:
            # An archive that takes the ledger over deletes what was staged before.
            ledger.refuse_if_fenced()
            raise StorageError(
                f"{at} of claim {staged_claim.result.claim} is not there, or not whole"
            )


def _refuse_taken(ledger: Ledger, storage: Storage, staged_claim: StagedClaim) -> None:
    """Check that the final names of an uncommitted claim's files are free."""
    if ledger.state.covers(staged_claim.result.claim):
        return  # an earlier call committed it, and may have published its files
    taken = sorted(final for final in staged_claim.staged if storage.size_bytes(final) is not None)
    if taken:
        # An archive that took the ledger over may have committed the claim.
        ledger.refuse_if_fenced()
        raise LedgerCorrupt(
            f"files that the ledger does not name stand where those of claim "
            f"{staged_claim.result.claim} belong; nothing was committed. The ledger is older than "
            "its files: restore the newest one, or make these files part of it with "
            "`finkray ledger rebuild --replace-readable`: "
            f"{', '.join(taken)}"
        )


def publish(ledger: Ledger, storage: Storage) -> int:
    """Publish all files of committed claims; return how many there were.

    Raises
    ------
    LedgerCorrupt
        if one of them does not exist, or another file has its name
    StorageError
        if the storage refuses; call again
    """
    moves = dict(ledger.unpublished)
    outcomes = storage.publish(moves)
    bad = {
        final: outcome.value
        for final, outcome in outcomes.items()
        if outcome in (PublishOutcome.LOST, PublishOutcome.TAKEN)
    }
    ledger.mark_published([final for final in outcomes if final not in bad])
    if bad:
        ledger.refuse_if_gone()
        raise LedgerCorrupt(f"committed files that cannot be published: {bad}: run `finkray audit`")
    return len(moves)


def recover(ledger: Ledger, storage: Storage) -> Recovery:
    """Bring the folders in line with the ledger at a start.

    1. publish the files of committed entries that a crash left in staging; only entries
       after the last one that is recorded as published are read, so this takes no longer
       after a year than after a day
    2. delete the staging folders of earlier epochs: their files were never committed

    A committed file that does not exist was deleted by other means. It does not keep the
    archive from starting; the audit reports it as missing.

    Raises
    ------
    LedgerCorrupt
        if another file has the name of a committed one; nothing is deleted then
    StorageError
        if the storage refuses; call again
    """
    outcomes = storage.publish(dict(ledger.unpublished))
    taken = sorted(final for final, outcome in outcomes.items() if outcome is PublishOutcome.TAKEN)
    if taken:
        raise LedgerCorrupt(
            "other files stand where committed ones, still in staging, belong: move them out of "
            f"the archive and start again: {', '.join(taken)}"
        )
    lost = sorted(final for final, outcome in outcomes.items() if outcome is PublishOutcome.LOST)
    if lost:
        log.error("committed files are missing, see `finkray audit`: %s", ", ".join(lost))
    ledger.mark_published(list(outcomes))
    old = [
        folder
        for folder in storage.folders(STAGING_FOLDER)
        if (name := folder.rpartition("/")[2]).isdigit() and int(name) < ledger.epoch
    ]
    for folder in old:
        storage.delete_folder(folder)
    published = sum(outcome is PublishOutcome.MOVED for outcome in outcomes.values())
    return Recovery(published, tuple(lost), tuple(old))
