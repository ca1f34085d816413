"""Refuse claims that must not get into the ledger: pure checks, before an entry is created."""

from collections.abc import Collection, Iterable, Sequence

from finkray.claim import Claim, ClaimResult, DataFile, StagedClaim
from finkray.errors import ClusterUnavailable
from finkray.intervals import IntervalSet
from finkray.ledger.entry import ClaimKind


def refuse_contradictions(staged: Sequence[StagedClaim], kind: ClaimKind) -> None:
    """Check that claims account for their offsets, and new ones for the files that they staged.

    Raises
    ------
    ValueError
        if not
    """
    for each in staged:
        refuse_unbalanced(each.result)
        if kind == "committed" and set(each.staged) != each.result.paths:
            raise ValueError(f"claim {each.result.claim}: its files are not those it staged")
    if kind == "committed":
        refuse_partly_shared(each.result for each in staged)


def refuse_files_of_committed(rest: Sequence[StagedClaim], done: Collection[Claim]) -> None:
    """Check that new files have no alerts of claims that an earlier call has committed.

    Raises
    ------
    ClusterUnavailable
        if a file has: a fresh process reads the other claims of the file again
    """
    try:
        refuse_partly_shared(each.result for each in rest)
    except ValueError as error:
        raise ClusterUnavailable(
            f"{error}: {len(done)} of them are in the ledger already, with other files"
        ) from error


def refuse_unbalanced(result: ClaimResult) -> None:
    """Check that a claim accounts for each of its offsets once.

    Raises
    ------
    ValueError
        if not; the message says what does not add up
    """
    claim = result.claim
    if not result.balanced:
        raise ValueError(
            f"claim {claim} has {claim.offsets} offsets but {result.archived} archived, "
            f"{result.dead_lettered} dead-lettered and {result.in_gaps} in gaps"
        )
    elsewhere = IntervalSet()
    for gap in result.gaps:
        if not claim.first_offset <= gap.first_offset <= gap.last_offset <= claim.last_offset:
            raise ValueError(f"claim {claim} has a gap {gap.first_offset}-{gap.last_offset}")
        elsewhere.add(gap.first_offset, gap.last_offset)
    for span in result.resolved:
        if not claim.first_offset <= span.first <= span.last <= claim.last_offset:
            raise ValueError(f"claim {claim} has {span.first}-{span.last} resolved")
        # `add` raises for an offset that is resolved twice or is in a gap.
        elsewhere.add(span.first, span.last)
    if sum(count for _, count in result.dead_letters_by_reason) != result.dead_lettered:
        raise ValueError(f"claim {claim}: its dead letters by reason do not add up")


def refuse_partly_shared(results: Iterable[ClaimResult]) -> None:
    """Check that the claims that share a file are all there, and have each of its rows once.

    Raises
    ------
    ValueError
        if not: published, the file would have alerts that no claim accounts for
    """
    shares: dict[str, list[DataFile]] = {}
    for result in results:
        for file in result.files:
            if file.is_shared:
                shares.setdefault(file.path, []).append(file)
    for path, files in shares.items():
        next_row = 0
        for file in sorted(files, key=lambda each: each.first_row):
            if file.first_row != next_row:
                break
            next_row += file.rows
        if any(file.file_rows != next_row for file in files):
            raise ValueError(f"{path}: the claims that share it do not have each of its rows once")


def refuse_rewriting(before: ClaimResult, after: ClaimResult) -> None:
    """Check that resolving dead letters changed nothing else of a claim.

    Raises
    ------
    ValueError
        if anything changed except files that were added and letters that became alerts in them
    """
    known, now = IntervalSet(before.resolved), IntervalSet(after.resolved)
    kept = (
        before.dead_letter_files == after.dead_letter_files
        and before.gaps == after.gaps
        and set(before.files) <= set(after.files)
        and all(now.covers(span.first, span.last) for span in known)
    )
    if not kept:
        raise ValueError(f"claim {after.claim}: resolving dead letters changes nothing else")
