"""Ledgers that are damaged and rebuilt."""

from finkray.claim import ClaimResult, TopicPartition
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.rebuild import RebuildResult, rebuild
from finkray.storage.contract import Storage
from tests.support.ledgers import Topics


def rebuilt_of(
    storage: Storage,
    topics: Topics | None = None,
    *,
    dry_run: bool = False,
    replace_readable: bool = False,
) -> RebuildResult:
    """Rebuild a ledger, with these topics in Kafka."""
    return rebuild(
        storage,
        topics or Topics(),
        lease_ttl_s=60.0,
        dry_run=dry_run,
        replace_readable=replace_readable,
    )


def current_claims(storage: Storage) -> dict[tuple[TopicPartition, int], ClaimResult]:
    """Return the current claims."""
    state = read_state(storage).state
    found: dict[tuple[TopicPartition, int], ClaimResult] = {}
    for entry in read_entries(storage):
        for result in entry.claims:
            found[result.claim.source, result.claim.first_offset] = result
    assert state.partitions.keys() == {source for source, _ in found}
    return found


def data_files(storage: Storage) -> set[str]:
    """Return the paths of all files of alerts and dead letters."""
    return {file.path for top in ("alerts", "deadletters") for file in storage.walk(top)}


def damage(storage: Storage, path: str) -> None:
    """Change a bit in the middle of a file."""
    data = bytearray(storage.read(path) or b"")
    data[len(data) // 2] ^= 1
    storage.replace(path, bytes(data))
