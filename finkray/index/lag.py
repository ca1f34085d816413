"""How far the object index is behind the ledger, read from steps and entries alone."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from finkray.index.manifest import Manifest, read_manifest
from finkray.index.pending import entries_after
from finkray.ledger.follow import new_files
from finkray.storage.contract import Storage


@dataclass(frozen=True, slots=True)
class IndexLag:
    """How far the object index is behind the ledger.

    Attributes
    ----------
    step
        number of the newest step
    runs, alerts
        in the index
    claims_behind, alerts_behind
        in the ledger and not in the index; look-ups read their files directly
    behind_s
        age of the oldest entry with alerts that are not indexed; 0 if there is none
    skipped_files
        files that could not be read when they were due
    """

    step: int
    runs: int
    alerts: int
    claims_behind: int
    alerts_behind: int
    behind_s: float
    skipped_files: int

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self)


def read_index_lag(storage: Storage, now: datetime) -> IndexLag | None:
    """Return how far the index of an archive is behind; None if it has none.

    An index of another ledger counts as an empty one, as it does for look-ups.

    Raises
    ------
    StorageError
        if index or ledger cannot be read
    LedgerCorrupt
        if an entry is missing or damaged
    """
    manifest = read_manifest(storage)
    if not manifest.number:
        return None
    entries = entries_after(storage, manifest)
    if entries is None:
        manifest = Manifest(number=manifest.number)
        entries = entries_after(storage, manifest)
    claims = alerts = 0
    oldest: datetime | None = None
    for entry in entries or ():
        rows = sum(file.rows for _, file in new_files(entry))
        if rows:
            claims += sum(1 for result in entry.claims if result.files)
            alerts += rows
            oldest = oldest or entry.at
    return IndexLag(
        step=manifest.number,
        runs=len(manifest.runs),
        alerts=manifest.alerts,
        claims_behind=claims,
        alerts_behind=alerts,
        behind_s=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        skipped_files=len(manifest.skipped),
    )
