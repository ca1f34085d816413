"""Decide which claims the streaming query gets next. Pure: the clock is a parameter.

A micro-batch is durable when its last task is, so its size determines the latency of the live
lanes. Live claims go first. While they arrive, a micro-batch takes at most as many backfill claims
as there are task slots; when no live claim arrives, backfill claims may fill it.

The query gets its next claims when it is done with the previous ones, and all at once. So they
are shared among few tasks: a task costs the JVMs 12 ms of CPU time, however small it is.

In a trickle, live claims wait for each other and share files: see `finkray.driver.trickle`.

Topics take turns, and what a micro-batch costs to write is bounded. So a claim of a quiet topic is
in the next micro-batch, and that one ends soon, whatever another topic sends.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from finkray.claim import Claim
from finkray.driver.instructions import Dispatch
from finkray.driver.token_bucket import TokenBucket
from finkray.driver.trickle import Trickle, share_files
from finkray.turns import Turns

LIVE_S = 10.0
"""The live lanes count as quiet after this time without a live claim."""

MICRO_BATCH_FILES = 256
"""The most that the claims of a micro-batch may cost to write, in files of few columns: at 20 ms
each, 2.5 s in two task slots. Claims of a survey cost 1 to 4 each."""

MICRO_BATCH_BYTES = 256 * 1024 * 1024
"""The most bytes of the claims of a micro-batch in memory: eight claims of the default size."""

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
    trickle
        decides when live claims wait and share files
    """

    def __init__(
        self, *, most_claims: int, slots: int, backfill_per_s: float, trickle: Trickle
    ) -> None:
        self._most_claims = most_claims
        self._trickle = trickle
        self._slots = slots
        self._cap = TokenBucket(backfill_per_s)
        self._draining = False
        self._live: Turns[str, Dispatch] = Turns()
        self._backfill: Turns[str, Dispatch] = Turns()
        self._delayed: deque[tuple[float, Dispatch]] = deque()
        self._waiting: set[tuple[Claim, int]] = set()
        self._dispatched: set[Claim] = set()
        self._live_until_s = float("-inf")

    def add(self, dispatch: Dispatch, now_s: float) -> None:
        """Queue a claim, unless it waits already."""
        key = dispatch.claim, dispatch.generation
        if key in self._waiting:
            return
        self._waiting.add(key)
        if dispatch.delayed:
            self._delayed.append((now_s + RETRY_S, dispatch))
            return
        self._add(dispatch)
        if dispatch.lane == "live":
            self._live_until_s = now_s + LIVE_S
            self._trickle.add(dispatch, now_s)

    def take(self, now_s: float) -> list[Dispatch]:
        """Return the claims to send to the query now; none until it is done with the previous."""
        while self._delayed and self._delayed[0][0] <= now_s:
            self._add(self._delayed.popleft()[1])
        if self._dispatched:
            return []
        batch = _MicroBatch()
        share = self._trickle.is_trickle(now_s, self._live) and not self._draining
        if not share or self._trickle.may_begin(now_s):
            # Claims that share a file cost as much as one.
            while (share or len(batch.claims) < self._most_claims) and batch.take_next(self._live):
                pass
            if batch.claims:
                self._trickle.note_micro_batch(now_s, is_trickle=share)
        live_is_quiet = now_s >= self._live_until_s
        backfill_slots = (
            max(0, self._most_claims - len(batch.claims))
            if live_is_quiet or self._draining
            else self._slots
        )
        # A backfill claim is taken whatever the live ones cost: costly live claims must not stop
        # the backfills for ever.
        anyway = True
        while backfill_slots and (self._draining or self._cap.is_open(now_s)):
            if not batch.take_next(self._backfill, anyway=anyway):
                break
            self._cap.spend(batch.claims[-1].alerts)
            backfill_slots -= 1
            anyway = False
        self._dispatched = {dispatch.claim for dispatch in batch.claims}
        self._waiting -= {(dispatch.claim, dispatch.generation) for dispatch in batch.claims}
        return share_files(batch.claims) if share else batch.claims

    def done(self, claims: Iterable[Claim]) -> None:
        """Note that the query is done with these claims."""
        self._dispatched.difference_update(claims)

    def drain(self) -> None:
        """Ignore the cap and the priority of live claims from now on: commit what is held."""
        self._draining = True

    def clear(self) -> None:
        """Forget all claims."""
        for waiting in (self._live, self._backfill, self._delayed, self._dispatched, self._waiting):
            waiting.clear()

    def _add(self, dispatch: Dispatch) -> None:
        waiting = self._backfill if dispatch.lane == "backfill" else self._live
        waiting.add(dispatch.claim.source.topic, dispatch)


class _MicroBatch:
    """The claims of a micro-batch, and what they cost."""

    def __init__(self) -> None:
        self.claims: list[Dispatch] = []
        self._files = 0
        self._bytes = 0

    def take_next(self, waiting: Turns[str, Dispatch], *, anyway: bool = False) -> bool:
        """Take the claim whose turn it is, if any waits and the micro-batch has room for it.

        The first claim is taken whatever it costs, and any with `anyway`.
        """
        topic = waiting.next_key()
        if topic is None:
            return False
        dispatch = waiting.first(topic)
        files, nbytes = self._files + dispatch.write_cost, self._bytes + dispatch.held_bytes
        fits = files <= MICRO_BATCH_FILES and nbytes <= MICRO_BATCH_BYTES
        if self.claims and not fits and not anyway:
            return False
        self._files, self._bytes = files, nbytes
        self.claims.append(waiting.pop(topic))
        return True


ALERTS_PER_FILE = 50
"""How many alerts take as long to write as a file of few columns, which takes 20 ms: 1000 of ZTF
take 360 ms."""


def split_by_cost(
    groups: Sequence[Sequence[Dispatch]], tasks: int
) -> list[list[Sequence[Dispatch]]]:
    """Split the groups of a micro-batch into at most `tasks`, each about as long to write."""
    shares: list[list[Sequence[Dispatch]]] = [[] for _ in range(min(tasks, len(groups)))]
    costs = [0] * len(shares)
    for group in sorted(groups, key=lambda group: -_alerts_worth(group)):
        least = costs.index(min(costs))
        shares[least].append(group)
        costs[least] += _alerts_worth(group)
    return shares


def _alerts_worth(group: Sequence[Dispatch]) -> int:
    """Return what claims that share files cost to write, in alerts."""
    files = max(claim.write_cost for claim in group)
    return sum(max(1, claim.alerts) for claim in group) + ALERTS_PER_FILE * max(0, files - 1)
