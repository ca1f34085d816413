"""Read from the folder of an archive that does not report whether it is new, stopped or dead.

no lease, no ledger -> never started        lease released -> stopped
holder's process ended, or silent -> died   holder alive   -> runs, and reports elsewhere

A ledger that is lost, or older than the identity beside it or than the newest files, is told: a
start would refuse it.
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
from finkray.ledger.lease import Free, Held, judge, read_lease
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.state import LedgerState
from finkray.status.at_rest import ArchiveAtRest, Rest
from finkray.storage.contract import Storage

_LOOKED_THROUGH: Final = 200
"""The last entries that are searched for a claim; entries without one are those of starts."""


def read_at_rest(storage: Storage, me: ProcessId | None = None) -> ArchiveAtRest:
    """Return how the archive of a folder is, without taking or changing anything.

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
    verdict = judge(lease, me or ProcessId.mine(), datetime.now(UTC))
    found: Rest = "died"  # its process has ended, or is silent
    if isinstance(verdict, Free):
        found = "stopped"
    elif isinstance(verdict, Held) or (lease is not None and _lives_here(lease.holder, me)):
        found = "runs"  # a process of this machine that is late with its heartbeat lives
    entries = read_entries(storage, max(-1, state.last_seq - _LOOKED_THROUGH))
    durable_at = [entry.at for entry in entries if entry.claims]
    return ArchiveAtRest(
        found,
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
