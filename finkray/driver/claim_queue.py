"""Decide which claims the streaming query gets next. Pure: the clock is a parameter.

A micro-batch is durable when its last task is, so its size determines the latency of the live
lanes. Live claims go first. While they arrive, a micro-batch takes at most as many backfill claims
as there are task slots; when no live claim arrives, backfill claims may fill it.

The query gets its next claims when it is done with the previous ones, and all at once. So they
are shared among few tasks: a task costs the JVMs 12 ms of CPU time, however small it is.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from finkray.claim import Claim
from finkray.driver.instructions import Dispatch
from finkray.driver.token_bucket import TokenBucket

LIVE_S = 10.0
"""The live lanes count as quiet after this time without a live claim."""

RETRY_S = 1.0
"""Pause before a claim is dispatched again after the storage refused it."""


class ClaimQueue:
    """The claims that wait for the query, and those that the query has.

    Parameters
    ----------
    most_claims
        the most live claims in a micro-batch, and the most claims when the live lanes are quiet
    slots
        how many tasks the query runs at a time
    backfill_per_s
        limit of the backfills' alerts per second; 0 sets no limit
    """

    def __init__(self, *, most_claims: int, slots: int, backfill_per_s: float) -> None:
        self._most_claims = most_claims
        self._slots = slots
        self._cap = TokenBucket(backfill_per_s)
        self._draining = False
        self._live: deque[Dispatch] = deque()
        self._backfill: deque[Dispatch] = deque()
        self._delayed: deque[tuple[float, Dispatch]] = deque()
        self._dispatched: set[Claim] = set()
        self._live_until_s = float("-inf")

    def add(self, dispatch: Dispatch, now_s: float) -> None:
        """Queue a claim."""
        if dispatch.delayed:
            self._delayed.append((now_s + RETRY_S, dispatch))
        elif dispatch.lane == "backfill":
            self._backfill.append(dispatch)
        else:
            self._live.append(dispatch)
            self._live_until_s = now_s + LIVE_S

    def take(self, now_s: float) -> list[Dispatch]:
        """Return the claims to send to the query now; none until it is done with the previous."""
        while self._delayed and self._delayed[0][0] <= now_s:
            dispatch = self._delayed.popleft()[1]
            (self._backfill if dispatch.lane == "backfill" else self._live).append(dispatch)
        if self._dispatched:
            return []
        taken = [self._live.popleft() for _ in range(min(self._most_claims, len(self._live)))]
        live_is_quiet = now_s >= self._live_until_s
        backfill_slots = (
            self._most_claims - len(taken) if live_is_quiet or self._draining else self._slots
        )
        while backfill_slots and self._backfill and (self._draining or self._cap.is_open(now_s)):
            taken.append(dispatch := self._backfill.popleft())
            self._cap.spend(dispatch.alerts)
            backfill_slots -= 1
        self._dispatched = {dispatch.claim for dispatch in taken}
        return taken

    def done(self, claims: Iterable[Claim]) -> None:
        """Note that the query is done with these claims."""
        self._dispatched.difference_update(claims)

    def drain(self) -> None:
        """Ignore the cap and the priority of live claims from now on: commit what is held."""
        self._draining = True

    def clear(self) -> None:
        """Forget all claims."""
        for waiting in (self._live, self._backfill, self._delayed, self._dispatched):
            waiting.clear()


def split_by_alerts(claims: Sequence[Dispatch], tasks: int) -> list[list[Dispatch]]:
    """Split the claims of a micro-batch into at most `tasks`, with about as many alerts in each."""
    shares: list[list[Dispatch]] = [[] for _ in range(min(tasks, len(claims)))]
    alerts = [0] * len(shares)
    for claim in sorted(claims, key=lambda claim: -claim.alerts):
        least = alerts.index(min(alerts))
        shares[least].append(claim)
        alerts[least] += max(1, claim.alerts)
    return shares
