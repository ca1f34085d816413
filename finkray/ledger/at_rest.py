"""Read from the folder of an archive that does not report whether it is new, stopped or dead.

no lease, no ledger -> never started        lease released -> stopped
holder's process ended, or silent -> died   holder alive   -> runs, and reports elsewhere
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from finkray.host.process_id import ProcessId
from finkray.ledger.lease import Free, Held, judge, read_lease
from finkray.ledger.read import read_entries, read_state
from finkray.storage.contract import Storage

Rest = Literal["never_started", "stopped", "died", "runs"]

_LOOKED_THROUGH: Final = 200
"""The last entries that are searched for a claim; entries without one are those of starts."""


@dataclass(frozen=True, slots=True)
class ArchiveAtRest:
    """An archive as its folder tells.

    Attributes
    ----------
    rest
        how it is; `died` also where its machine is away, as far as its silence tells
    heartbeat_at
        when its process last renewed the lease, UTC; None if it has never run
    holder
        that process, in words; "" if it has never run
    durable_at
        when the last claim became durable, UTC; None if none did
    archived, dead_lettered
        alerts and dead letters in the ledger
    """

    rest: Rest
    heartbeat_at: datetime | None = None
    holder: str = ""
    durable_at: datetime | None = None
    archived: int = 0
    dead_lettered: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return what `finkray status --json` prints of it."""
        return {
            "state": self.rest,
            "heartbeat_at": self.heartbeat_at.isoformat() if self.heartbeat_at else None,
            "holder": self.holder or None,
            "durable_at": self.durable_at.isoformat() if self.durable_at else None,
            "archived": self.archived,
            "dead_lettered": self.dead_lettered,
        }


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
    state = read_state(storage).state
    if lease is None and state.last_seq < 0:
        return ArchiveAtRest("never_started")
    balance = state.balance()
    verdict = judge(lease, me or ProcessId.mine(), datetime.now(UTC))
    found: Rest = "died"  # its process has ended, or is silent
    if isinstance(verdict, Free):
        found = "stopped"
    elif isinstance(verdict, Held):
        found = "runs"
    entries = read_entries(storage, max(-1, state.last_seq - _LOOKED_THROUGH))
    durable_at = [entry.at for entry in entries if entry.claims]
    return ArchiveAtRest(
        found,
        None if lease is None else lease.heartbeat,
        "" if lease is None else str(lease.holder),
        durable_at[-1] if durable_at else None,
        balance.archived,
        balance.dead_lettered,
    )
