"""Which claims the streaming query gets next. Pure: the clock is given.

A micro-batch is durable when its last task is, so what it holds is the latency of the live
lanes. Live claims go first. While they come, a micro-batch has room for as many claims of a
backfill as there are task slots; when no live claim comes, the backfill has all the room.
"""

from collections import deque
from collections.abc import Iterable

from finkray.claim import Claim
from finkray.instructions import Dispatch
from finkray.token_bucket import TokenBucket

LIVE_S = 10.0
"""The live lanes count as quiet when no claim of theirs came for so long."""

RETRY_S = 1.0
"""Pause before a claim is written again after the storage refused it."""


class ClaimQueue:
    """The claims that wait for the query, and those that it has.

    Parameters
    ----------
    most
        claims that the query may have at a time
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
        self._out: dict[Claim, Dispatch] = {}
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
        """The claims to hand to the query now."""
        while self._delayed and self._delayed[0][0] <= now_s:
            dispatch = self._delayed.popleft()[1]
            (self._backfill if dispatch.lane == "backfill" else self._waiting).append(dispatch)
        taken = []
        backfill_out = sum(dispatch.lane == "backfill" for dispatch in self._out.values())
        live_out = len(self._out) - backfill_out
        while self._waiting and live_out < self._most:
            taken.append(self._waiting.popleft())
            live_out += 1
        room = self._most - live_out
        if now_s < self._live_until_s and not self._hurried:
            room = self._slots
        while (
            self._backfill and backfill_out < room and (self._hurried or self._cap.is_open(now_s))
        ):
            taken.append(dispatch := self._backfill.popleft())
            self._cap.spend(dispatch.alerts)
            backfill_out += 1
        self._out |= {dispatch.claim: dispatch for dispatch in taken}
        return taken

    def returned(self, claims: Iterable[Claim]) -> None:
        """The query has done with these claims."""
        for claim in claims:
            self._out.pop(claim, None)

    def hurry(self) -> None:
        """From now on there is neither cap nor courtesy: what is held is to be made durable."""
        self._hurried = True

    def clear(self) -> None:
        """Forget all claims."""
        for waiting in (self._waiting, self._backfill, self._delayed, self._out):
            waiting.clear()
