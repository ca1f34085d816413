"""The size of the object index, and what it lacks."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The size of the index, and what it lacks.

    Attributes
    ----------
    indexed_alerts, indexed_files
        in its runs
    unindexed_alerts, unindexed_files
        in the ledger and in no run: look-ups read these files directly
    skipped_files
        files that could not be read when they were due; counted as unindexed too
    runs, size_bytes
        of the index
    next_entry
        the first ledger entry that is not indexed
    """

    indexed_alerts: int
    indexed_files: int
    unindexed_alerts: int
    unindexed_files: int
    skipped_files: int
    runs: int
    size_bytes: int
    next_entry: int

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self)
