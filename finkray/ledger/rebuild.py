"""Rebuild a ledger that is damaged, incomplete or lost, from what is left of it and from the files.

1. Keep the entries before the first one that is missing or damaged (`finkray.ledger.salvage`).
2. Commit again what later, readable entries say.
3. Make claims of the files that no claim names (`finkray.ledger.file_claims`).

No file is deleted: ledger files that are replaced, and data files that fit into no claim, are moved
to ``ledger-replaced/<time>/``. Alerts that are in no file are missing in the new ledger: the next
start of the archive, or a redrive, reads them from Kafka again.

The new ledger is at least as long as the old one was, and its epochs are higher: an archive that
slept meanwhile is fenced, and followers of the ledger go on from where they were. First of all the
identity is raised to the new length: after a crash in the middle every start is refused until the
rebuild is repeated, which finds the same content.
"""

import copy
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from finkray.claim import Claim
from finkray.errors import LedgerCorrupt, LedgerError
from finkray.intervals import Interval, IntervalSet
from finkray.ledger.file_claims import FileClaims, LeftOut, make_claims
from finkray.ledger.identity import (
    Identity,
    newest_files,
    read_identity,
    refuse_older_ledger,
)
from finkray.ledger.lease import Lease, refuse_if_held
from finkray.ledger.log import STAGING_FOLDER, Ledger
from finkray.ledger.publish import recover
from finkray.ledger.rebuild_plan import RebuildPlan, Tell, write_rebuilt_ledger
from finkray.ledger.refusals import refuse_unbalanced
from finkray.ledger.salvage import SalvagedLedger, replay, salvage
from finkray.ledger.segment import BLOCK
from finkray.ledger.state import LedgerState
from finkray.ledger.unnamed_files import KafkaTopics, UnnamedFiles, read_unnamed_files
from finkray.storage.contract import Storage


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """What a rebuild did, or would do.

    Attributes
    ----------
    kept_entries
        entries of the old ledger that were kept
    damaged
        files of the old ledger that cannot be read
    replayed_claims
        claims that readable entries after the damage had
    claims_from_files, files, alerts, dead_letters
        claims that were made of files, and what they have
    in_no_file
        offsets inside these claims that are in no file
    missing
        offsets between claims that no claim has
    short_topic_ids
        topics that neither the ledger nor Kafka knows: of their ids 8 characters are known
    left_out
        files that fit into no claim, and why
    set_aside
        the folder with everything that was moved away; None if nothing was
    entries
        number of entries of the new ledger; 0 if nothing was written
    """

    kept_entries: int
    damaged: tuple[str, ...]
    replayed_claims: int
    claims_from_files: int
    files: int
    alerts: int
    dead_letters: int
    in_no_file: int
    missing: int
    short_topic_ids: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    set_aside: str | None = None
    entries: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self) | {"left_out": [file._asdict() for file in self.left_out]}


def rebuild(
    storage: Storage,
    kafka: KafkaTopics,
    *,
    lease_ttl_s: float,
    known_claims: Collection[Claim] = (),
    replace_readable: bool = False,
    dry_run: bool = False,
    tell: Tell = lambda _: None,
) -> RebuildResult:
    """Rebuild the ledger of an archive; the archive must not run.

    Parameters
    ----------
    storage
        of the archive
    kafka
        knows the ids of topics, which the names of files have in part
    lease_ttl_s
        as for an archive
    known_claims
        claims that services have results of: they say where claims began and ended
    replace_readable
        rebuild also a ledger that is whole: files that it does not name become part of it
    dry_run
        change nothing
    tell
        receives how far it is, as text

    Raises
    ------
    ArchiveHeld
        if an archive runs on the folder
    LedgerError
        if the ledger is whole, or that of another archive; nothing was changed
    KafkaUnavailable
        if no broker answers; nothing was changed
    StorageError
        if the storage refuses; repeat the call
    """
    if dry_run:
        refuse_if_held(storage)
        return _make_plan(storage, kafka, known_claims, tell, replace_readable=replace_readable)[1]
    with Lease.acquire(storage, ttl_s=lease_ttl_s) as lease:
        plan, rebuilt = _make_plan(
            storage, kafka, known_claims, tell, replace_readable=replace_readable
        )
        set_aside = write_rebuilt_ledger(
            storage, plan, [file.path for file in rebuilt.left_out], tell
        )
        ledger = Ledger.take_over(storage, lease)
        recover(ledger, storage)
    return replace(rebuilt, set_aside=set_aside, entries=ledger.state.last_seq + 1)


def _make_plan(
    storage: Storage,
    kafka: KafkaTopics,
    known_claims: Collection[Claim],
    tell: Tell,
    *,
    replace_readable: bool,
) -> tuple[RebuildPlan, RebuildResult]:
    tell("reading the ledger")
    found, salvaged = _identity(storage), salvage(storage)
    _refuse(storage, found, salvaged, replace_readable=replace_readable)
    plan = RebuildPlan(
        salvaged, _next_identity(storage, found, salvaged), _through_seq(found, salvaged)
    )
    for entry in replay(salvaged):
        plan.starts |= set(entry.starts)
        if entry.kind == "committed":
            plan.committed += entry.claims
        elif entry.claims:
            plan.revisions.append(entry)
    replayed = len(plan.committed)

    state = copy.deepcopy(salvaged.state)
    for source, offset in plan.starts:
        state.add_start(source, offset)
    state.add_claims(plan.committed)
    named = set().union(
        *(result.paths for result in salvaged.results.values()),
        *(result.paths for result in plan.committed),
        *(result.paths for entry in plan.revisions for result in entry.claims),
    )
    sources = {*state.partitions, *(claim.source for claim in known_claims)}
    unnamed = read_unnamed_files(storage, named, sources, kafka, tell)
    made = _claims_of_files(unnamed, state, known_claims)
    for result in made.results:
        refuse_unbalanced(result)
    plan.committed += made.results
    state.add_claims(made.results)
    return plan, RebuildResult(
        kept_entries=salvaged.state.last_seq + 1,
        damaged=tuple(salvaged.damaged),
        replayed_claims=replayed,
        claims_from_files=len(made.results),
        files=sum(
            file.size_bytes > 0 and file.first_row == 0
            for result in made.results
            for file in result.all_files
        ),
        alerts=sum(result.archived for result in made.results) - made.offsets_in_no_file,
        dead_letters=sum(result.dead_lettered for result in made.results),
        in_no_file=made.offsets_in_no_file,
        missing=sum(hole.size for known in state.partitions.values() for hole in known.missing),
        short_topic_ids=tuple(sorted(unnamed.short_topic_ids)),
        left_out=tuple(made.left_out),
    )


def _claims_of_files(
    unnamed: UnnamedFiles, state: LedgerState, known_claims: Collection[Claim]
) -> FileClaims:
    """Make claims of the files that no claim names.

    A file with alerts of several partitions is left out of all of them if it is of one.
    """
    left_out: dict[str, LeftOut] = {}
    while True:
        made = FileClaims(left_out=[*unnamed.left_out, *left_out.values()])
        again = False
        for source, files in unnamed.by_partition.items():
            partition = state.partitions.get(source)
            covered = IntervalSet() if partition is None else partition.covered
            bounds = {
                Interval(claim.first_offset, claim.last_offset)
                for claim in known_claims
                if claim.source == source
            }
            kept = [found for found in files if found.file.path not in left_out]
            claims = make_claims(source, kept, covered, bounds)
            shared = {found.file.path for found in kept if found.file.is_shared}
            newly = {out.path: out for out in claims.left_out if out.path in shared}
            left_out |= newly
            again = again or bool(newly)
            made.results += claims.results
            made.left_out += claims.left_out
            made.offsets_in_no_file += claims.offsets_in_no_file
        if not again:
            return made


def _identity(storage: Storage) -> Identity | None:
    """Return the identity in the folder; None also if it cannot be read: the ledger has its id."""
    try:
        return read_identity(storage)
    except LedgerCorrupt:
        return None


def _refuse(
    storage: Storage, found: Identity | None, salvaged: SalvagedLedger, *, replace_readable: bool
) -> None:
    """Object to a ledger of another archive, and to one that needs no rebuild."""
    state = salvaged.state
    if found is not None and state.archive_id not in (None, found.archive_id):
        raise LedgerCorrupt(
            f"{storage.uri} is the folder of archive {found.archive_id}, but its ledger is that of "
            f"archive {state.archive_id}: move the folder `ledger` away, and rebuild then"
        )
    if replace_readable or not salvaged.is_whole:
        return
    try:
        files = newest_files(storage, datetime.now(UTC))
        refuse_older_ledger(found, state, files, storage.uri)
    except LedgerCorrupt:
        return
    raise LedgerError(
        f"the ledger of {storage.uri} is readable and has {state.last_seq + 1} entries: nothing "
        "was changed. `finkray audit` compares it with the files; --replace-readable makes files "
        "that it does not name part of it"
    )


def _next_identity(storage: Storage, found: Identity | None, salvaged: SalvagedLedger) -> Identity:
    """Return the identity of the new ledger, with an epoch that no earlier archive had."""
    ids = [
        salvaged.state.archive_id,
        None if found is None else found.archive_id,
        *(entry.archive_id for entry in salvaged.later),
    ]
    staging = (folder.rpartition("/")[2] for folder in storage.folders(STAGING_FOLDER))
    epochs = [0 if found is None else found.epoch, salvaged.max_epoch]
    epoch = max(epochs + [int(name) for name in staging if name.isdigit()])
    archive_id = next((known for known in ids if known), secrets.token_hex(16))
    return Identity(archive_id, epoch)


def _through_seq(found: Identity | None, salvaged: SalvagedLedger) -> int:
    """Return the last number that the old ledger can have had."""
    if found is None or found.last_seq <= salvaged.max_seq:
        return salvaged.max_seq
    # The identity is raised with each block that is compacted, and the next one may have begun.
    return found.last_seq + 2 * BLOCK
