"""Which staged claims share files, and so are committed together. Pure."""

from collections.abc import Iterable, Sequence

from finkray.claim import Claim
from finkray.ledger.sharing import connected, shared_paths
from finkray.query.messages import ClaimOutcome


def groups_by_files(outcomes: Iterable[ClaimOutcome]) -> list[list[ClaimOutcome]]:
    """Return the outcomes of a micro-batch in groups whose staged claims share files."""
    return connected(outcomes, _shared_staged_paths)


def _shared_staged_paths(outcome: ClaimOutcome) -> list[str]:
    staged = outcome.staged
    return [] if staged is None else [staged.staged[path] for path in shared_paths(staged.result)]


class StagedGroups:
    """The staged claims that share files with others."""

    def __init__(self) -> None:
        self._group_of: dict[Claim, frozenset[Claim]] = {}

    def add(self, claims: Sequence[Claim]) -> None:
        """Note claims that share files."""
        if len(claims) > 1:
            self._group_of |= dict.fromkeys(claims, frozenset(claims))

    def of(self, claim: Claim) -> frozenset[Claim]:
        """Return the claims that share files with a staged claim, itself included."""
        return self._group_of.get(claim, frozenset([claim]))

    def remove(self, claims: Iterable[Claim]) -> None:
        """Forget claims that are committed, or void."""
        for claim in claims:
            self._group_of.pop(claim, None)

    def committable(self, lanes: Iterable[Sequence[ClaimOutcome]]) -> list[ClaimOutcome]:
        """Return the most claims that can be committed at once.

        Parameters
        ----------
        lanes
            the staged claims of each lane that follow its frontier without a hole

        Returns
        -------
        list of ClaimOutcome
            claims whose groups are whole, and which follow the frontier without a hole
        """
        left = [list(lane) for lane in lanes]
        ready = {outcome.claim for lane in left for outcome in lane}
        waiting = True
        while waiting:
            waiting = False
            for lane in left:
                at = next((n for n, one in enumerate(lane) if not self._is_whole(one, ready)), None)
                if at is not None:
                    ready -= {outcome.claim for outcome in lane[at:]}
                    del lane[at:]
                    waiting = True
        return [outcome for lane in left for outcome in lane]

    def _is_whole(self, outcome: ClaimOutcome, ready: set[Claim | None]) -> bool:
        return outcome.claim is not None and self.of(outcome.claim) <= ready
