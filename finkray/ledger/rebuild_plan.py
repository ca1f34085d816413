"""Write a rebuilt ledger by its plan: set old files aside, then create the new entries.

`finkray.ledger.rebuild` decides what a rebuilt ledger has.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from finkray.claim import ClaimResult, TopicPartition
from finkray.errors import Fenced, StorageError
from finkray.ledger.entry import Entry
from finkray.ledger.identity import IDENTITY_PATH, Identity
from finkray.ledger.salvage import SET_ASIDE_FOLDER, SalvagedLedger
from finkray.ledger.sharing import sharing_groups
from finkray.storage.contract import PublishOutcome, Storage

CLAIMS_IN_ENTRY = 500
"""About 0.3 MB of JSON: no reader of the ledger notices an entry of that size."""

_ENTRIES_AT_A_TIME = 1000

Tell = Callable[[str], None]


@dataclass(slots=True)
class RebuildPlan:
    """The new ledger, before anything of it is written.

    Attributes
    ----------
    salvaged
        what is left of the old ledger
    identity
        of the new ledger, without its length
    starts, committed, revisions
        what the new ledger has beyond the entries that are kept
    through_seq
        the new ledger has at least an entry of this number
    """

    salvaged: SalvagedLedger
    identity: Identity
    through_seq: int
    starts: set[tuple[TopicPartition, int]] = field(default_factory=set)
    committed: list[ClaimResult] = field(default_factory=list)
    revisions: list[Entry] = field(default_factory=list)


def write_rebuilt_ledger(
    storage: Storage, plan: RebuildPlan, left_out: Sequence[str], tell: Tell
) -> str | None:
    """Write the new ledger; return the folder with what was moved away, if anything was.

    Parameters
    ----------
    storage
        of the archive
    plan
        content of the new ledger
    left_out
        data files that fit into no claim, which are set aside too
    tell
        receives how far the writing is, as text

    Raises
    ------
    Fenced
        if another process wrote an entry meanwhile
    StorageError
        if a file could not be set aside, or the storage refuses; repeat the rebuild
    """
    entries = list(_entries(storage, plan))
    last_seq = plan.salvaged.state.last_seq + len(entries)
    storage.replace(IDENTITY_PATH, replace(plan.identity, last_seq=last_seq).to_bytes())
    folder = f"{SET_ASIDE_FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    moves = {f"{folder}/{path}": path for path in (*plan.salvaged.replaced, *left_out)}
    outcomes = storage.publish(moves)
    refused = [path for path, done in outcomes.items() if done is not PublishOutcome.MOVED]
    if refused:
        raise StorageError(f"these files could not be set aside, try again: {refused}")
    for number, entry in enumerate(entries, start=1):
        if not storage.create(entry.path, entry.to_bytes()):
            raise Fenced(f"{entry.path} was created by another process: start the rebuild again")
        if number % _ENTRIES_AT_A_TIME == 0:
            tell(f"{number} of {len(entries)} entries written")
    return folder if moves else None


def _entries(storage: Storage, plan: RebuildPlan) -> Iterator[Entry]:
    """Yield the new entries, numbered."""
    state, epoch = plan.salvaged.state, plan.salvaged.state.epoch
    blank = Entry(
        seq=state.last_seq,
        epoch=epoch,
        kind="started",
        at=datetime.now(UTC),
        writer=secrets.token_hex(8),
        published_through=state.published_through,
        archive_id=plan.identity.archive_id,
    )
    contents = list(_contents(storage, plan))
    opened: dict[str, Any] = {"kind": "opened", "epoch": max(1, plan.identity.epoch)}
    if epoch == 0:
        contents.insert(0, opened)
    elif epoch < plan.identity.epoch:
        contents.append(opened)
    seq = state.last_seq
    for content in contents:
        seq, epoch = seq + 1, content.get("epoch", epoch)
        yield replace(blank, **content | {"seq": seq, "epoch": epoch})
    while seq < plan.through_seq:
        seq += 1
        yield replace(blank, seq=seq, epoch=epoch)


def _contents(storage: Storage, plan: RebuildPlan) -> Iterator[dict[str, Any]]:
    """Yield what the new entries have."""
    if plan.starts:
        yield {"starts": tuple(sorted(plan.starts))}
    claims: list[ClaimResult] = []
    for group in sharing_groups(sorted(plan.committed, key=lambda result: result.claim)):
        if claims and len(claims) + len(group) > CLAIMS_IN_ENTRY:
            yield _committed(storage, plan, claims)
            claims = []
        claims += group
    if claims:
        yield _committed(storage, plan, claims)
    for entry in plan.revisions:
        yield {
            "kind": entry.kind,
            "claims": entry.claims,
            "superseded": entry.superseded,
            "remade": entry.remade,
            "staged": _staged(storage, plan, entry.claims),
        }


def _committed(
    storage: Storage, plan: RebuildPlan, claims: Sequence[ClaimResult]
) -> dict[str, Any]:
    return {
        "kind": "committed",
        "claims": tuple(claims),
        "staged": _staged(storage, plan, claims),
    }


def _staged(
    storage: Storage, plan: RebuildPlan, results: Sequence[ClaimResult]
) -> Mapping[str, str]:
    """Return the files of claims that are not published yet: the next start publishes them."""
    staged = plan.salvaged.staged
    return {
        path: staged[path]
        for result in results
        for path in result.paths
        if path in staged
        and storage.size_bytes(path) is None
        and storage.size_bytes(staged[path]) is not None
    }
