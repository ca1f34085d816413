"""Find out from its folder whether an archive is new, stopped, dead or running.

It is for archives that send no snapshot.

no lease, no ledger -> never started        lease released -> stopped
holder's process ended, or silent -> died   holder alive   -> runs, and reports elsewhere

The result also says if the ledger is lost, or older than the identity beside it or than the newest
files, because a start would refuse it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from finkray.errors import LedgerCorrupt
from finkray.host.process_id import ProcessId
from finkray.ledger.identity import (
    Identity,
    newest_files,
    read_identity,
    refuse_older_ledger,
)
from finkray.ledger.lease import Free, Held, lease_state, read_lease
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.state import LedgerState
from finkray.status.at_rest import ArchiveAtRest, ArchiveState
from finkray.storage.contract import Storage

_LOOKED_THROUGH: Final = 200
"""The last entries that are searched for a claim; entries without one are those of starts."""


def read_at_rest(storage: Storage, me: ProcessId | None = None) -> ArchiveAtRest:
    """Return the state of the archive in a folder, without taking or changing anything.

    Parameters
    ----------
    storage
        of the archive
    me
        the process that asks; None is this one

    Raises
    ------
    StorageError
        if the folder cannot be read
    LedgerCorrupt
        if lease or ledger are damaged
    """
    lease = read_lease(storage)
    # Before the ledger: the identity is raised, and files are published, after their entry.
    identity, files = read_identity(storage), newest_files(storage, datetime.now(UTC))
    state = read_state(storage).state
    if lease is None and identity is None and state.last_seq < 0 and not files:
        return ArchiveAtRest("never_started")
    balance = state.balance()
    found_state = lease_state(lease, me or ProcessId.mine(), datetime.now(UTC))
    archive_state: ArchiveState = "died"  # its process has ended, or is silent
    if isinstance(found_state, Free):
        archive_state = "stopped"
    elif isinstance(found_state, Held) or (lease is not None and _lives_here(lease.holder, me)):
        archive_state = "runs"  # a process of this machine that is late with its heartbeat lives
    entries = read_entries(storage, max(-1, state.last_seq - _LOOKED_THROUGH))
    durable_at = [entry.at for entry in entries if entry.claims]
    return ArchiveAtRest(
        archive_state,
        None if lease is None else lease.heartbeat,
        "" if lease is None else str(lease.holder),
        durable_at[-1] if durable_at else None,
        balance.archived,
        balance.dead_lettered,
        _problem(identity, state, files, storage.uri),
    )


def _problem(
    identity: Identity | None, state: LedgerState, files: Sequence[str], where: str
) -> str:
    try:
        refuse_older_ledger(identity, state, files, where)
    except LedgerCorrupt as error:
        return str(error)
    return ""


def _lives_here(holder: ProcessId, me: ProcessId | None) -> bool:
    return holder.can_see(me or ProcessId.mine()) and holder.is_running()
