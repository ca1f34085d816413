"""Which claims the streaming query gets next. Pure: the clock is given.

A micro-batch is durable when its last task is, so what it holds is the latency of the live
lanes. Live claims go first. While they come, a micro-batch has room for as many claims of a
backfill as there are task slots; when no live claim comes, the backfill has all the room.

The query gets its next claims when it has done with the last ones, and then all at once: so they
are shared among few tasks, each of which costs the JVMs 12 ms of CPU time whatever is in it.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from finkray.claim import Claim
from finkray.driver.instructions import Dispatch
from finkray.driver.token_bucket import TokenBucket

LIVE_S = 10.0
"""The live lanes count as quiet when no claim of theirs came for so long."""

RETRY_S = 1.0
"""Pause before a claim is written again after the storage refused it."""


class ClaimQueue:
    """The claims that wait for the query, and those that it has.

    Parameters
    ----------
    most
        live claims in a micro-batch, and claims in all when the live lanes are quiet
    slots
        tasks that it runs at a time
    backfill_per_s
        cap on the backfills' alerts; 0 is none
    """

    def __init__(self, *, most: int, slots: int, backfill_per_s: float) -> None:
        self._most = most
        self._slots = slots
        self._cap = TokenBucket(backfill_per_s)
        self._hurried = False
        self._waiting: deque[Dispatch] = deque()
        self._backfill: deque[Dispatch] = deque()
        self._delayed: deque[tuple[float, Dispatch]] = deque()
        self._out: set[Claim] = set()
        self._live_until_s = float("-inf")

    def hand_in(self, dispatch: Dispatch, now_s: float) -> None:
        """Let a claim wait for its turn."""
        if dispatch.delayed:
            self._delayed.append((now_s + RETRY_S, dispatch))
        elif dispatch.lane == "backfill":
            self._backfill.append(dispatch)
        else:
            self._waiting.append(dispatch)
            self._live_until_s = now_s + LIVE_S

    def take(self, now_s: float) -> list[Dispatch]:
        """The claims to hand to the query now: none before it has done with the last ones."""
        while self._delayed and self._delayed[0][0] <= now_s:
            dispatch = self._delayed.popleft()[1]
            (self._backfill if dispatch.lane == "backfill" else self._waiting).append(dispatch)
        if self._out:
            return []
        taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        live_is_quiet = now_s >= self._live_until_s
        room = self._most - len(taken) if live_is_quiet or self._hurried else self._slots
        while room and self._backfill and (self._hurried or self._cap.is_open(now_s)):
            taken.append(dispatch := self._backfill.popleft())
            self._cap.spend(dispatch.alerts)
            room -= 1
        self._out = {dispatch.claim for dispatch in taken}
        return taken

    def returned(self, claims: Iterable[Claim]) -> None:
        """The query has done with these claims."""
        self._out.difference_update(claims)

    def hurry(self) -> None:
        """From now on there is neither cap nor courtesy: what is held is to be made durable."""
        self._hurried = True

    def clear(self) -> None:
        """Forget all claims."""
        for waiting in (self._waiting, self._backfill, self._delayed, self._out):
            waiting.clear()


def share_out(claims: Sequence[Dispatch], tasks: int) -> list[list[Dispatch]]:
    """The claims of a micro-batch in at most so many tasks, about the same alerts in each."""
    shares: list[list[Dispatch]] = [[] for _ in range(min(tasks, len(claims)))]
    alerts = [0] * len(shares)
    for claim in sorted(claims, key=lambda claim: -claim.alerts):
        least = alerts.index(min(alerts))
        shares[least].append(claim)
        alerts[least] += max(1, claim.alerts)
    return shares
