"""The state of an archive that sends no snapshot: never started, stopped, died, runs elsewhere."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

ArchiveState = Literal["never_started", "stopped", "died", "runs"]


@dataclass(frozen=True, slots=True)
class ArchiveAtRest:
    """The state of an archive, as its folder shows it.

    Attributes
    ----------
    state
        `died` also if its machine is only unreachable, which looks the same from here
    heartbeat_at
        when its process last renewed the lease, UTC; None if it has never run
    holder
        that process, in words; "" if it has never run
    durable_at
        when the last claim became durable, UTC; None if none did
    archived, dead_lettered
        alerts and dead letters in the ledger
    problem
        why a start would refuse its ledger, and what to do; "" if it would not
    """

    state: ArchiveState
    heartbeat_at: datetime | None = None
    holder: str = ""
    durable_at: datetime | None = None
    archived: int = 0
    dead_lettered: int = 0
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what `finkray status --json` prints of it."""
        return {
            "state": self.state,
            "heartbeat_at": self.heartbeat_at.isoformat() if self.heartbeat_at else None,
            "holder": self.holder or None,
            "durable_at": self.durable_at.isoformat() if self.durable_at else None,
            "archived": self.archived,
            "dead_lettered": self.dead_lettered,
            "problem": self.problem or None,
        }
