"""Let the few claims of a trickle wait for each other, so that they share files. Pure.

At 28 alerts/s over 16 partitions a claim has some ten alerts, and a night of files of their own has
100 000 of them, each of which costs a reader milliseconds. So while few alerts come, a micro-batch
with live claims begins some seconds after the one before, and its claims share files: one for each
topic, hour and schema. Under load nothing waits, and no file is shared.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from finkray.driver.instructions import Dispatch

TRICKLE_PER_S = 50.0
"""The live lanes are a trickle below so many alerts a second. ZTF has 28 on average, and 1000
within seconds after an exposure; a file of a shared micro-batch then has 140."""

FIRST_WAIT_S = 0.5
"""The first wait after a silence or a load. It doubles, so that neither an alert that comes alone
nor the last ones of a burst wait long."""

RATE_WINDOW_WAITS = 2
"""The rate is that of so many waits: claims of all partitions may come at the same time."""


class Trickle:
    """Decides whether the live lanes are a trickle, and when its next micro-batch begins.

    Parameters
    ----------
    wait_s
        the longest time from one micro-batch with live claims to the next; 0: they never wait
    shared_bytes
        the most bytes that claims in one file have in memory; with more of them within `wait_s`
        the live lanes are no trickle, however few the alerts are
    """

    def __init__(self, wait_s: float, shared_bytes: int) -> None:
        self._longest_wait_s = wait_s
        self.shared_bytes = shared_bytes
        self._recent: deque[tuple[float, int, int]] = deque()
        self._last_claim_s = float("-inf")
        self._last_begin_s = float("-inf")
        self._wait_s = 0.0

    def add(self, dispatch: Dispatch, now_s: float) -> None:
        """Note a live claim."""
        if now_s - self._last_claim_s >= self._longest_wait_s:
            self._wait_s = 0.0
        self._last_claim_s = now_s
        self._recent.append((now_s, dispatch.alerts, dispatch.held_bytes))

    def is_trickle(self, now_s: float, waiting: Iterable[Dispatch]) -> bool:
        """Return whether the live lanes are a trickle, by what came of late and what waits."""
        window_s = RATE_WINDOW_WAITS * self._longest_wait_s
        while self._recent and self._recent[0][0] <= now_s - window_s:
            self._recent.popleft()
        recent = [(alerts, nbytes) for _, alerts, nbytes in self._recent]
        waiting_claims = [(dispatch.alerts, dispatch.held_bytes) for dispatch in waiting]
        return all(
            sum(alerts for alerts, _ in claims) < TRICKLE_PER_S * window_s
            and sum(nbytes for _, nbytes in claims) < RATE_WINDOW_WAITS * self.shared_bytes
            for claims in (recent, waiting_claims)
        )

    def may_begin(self, now_s: float) -> bool:
        """Return whether a micro-batch with live claims of the trickle may begin."""
        return now_s >= self._last_begin_s + self._wait_s

    def note_micro_batch(self, now_s: float, *, is_trickle: bool) -> None:
        """Note that a micro-batch with live claims begins."""
        self._last_begin_s = now_s
        longer_s = min(max(2 * self._wait_s, FIRST_WAIT_S), self._longest_wait_s)
        self._wait_s = longer_s if is_trickle else 0.0


def share_files(claims: Iterable[Dispatch]) -> list[Dispatch]:
    """Return the claims of a micro-batch with a note that they may share files."""
    return [replace(claim, shares_files=claim.lane == "live") for claim in claims]


def groups_of(claims: Sequence[Dispatch], shared_bytes: int) -> list[list[Dispatch]]:
    """Return the claims of a micro-batch in groups, each of which shares files.

    A group has claims of one incarnation of a topic, each claim once, and at most `shared_bytes`.
    """
    groups: list[list[Dispatch]] = []
    open_groups: dict[tuple[str, str, str], list[Dispatch]] = {}
    seen = set()
    for dispatch in claims:
        source = dispatch.claim.source
        key = (source.cluster_id, source.topic, source.topic_id)
        group = open_groups.get(key, [])
        nbytes = dispatch.held_bytes + sum(other.held_bytes for other in group)
        if dispatch.claim in seen or not dispatch.shares_files:
            groups.append([dispatch])
        elif group and nbytes <= shared_bytes:
            group.append(dispatch)
        else:
            open_groups[key] = [dispatch]
            groups.append(open_groups[key])
        seen.add(dispatch.claim)
    return groups
