"""In a trickle claims wait for each other and share files; under load nothing changes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.claim import Claim, TopicPartition
from finkray.driver.claim_queue import ClaimQueue
from finkray.driver.instructions import Dispatch
from finkray.driver.trickle import Trickle, groups_of
from finkray.ingest.intake import CutLimits, PartitionIntake
from tests.support.examples import examples

WAIT_S = 5.0
CLAIM_BYTES = 32 << 20
ZTF_BYTES = 65_000
LIMITS = CutLimits(claim_bytes=CLAIM_BYTES, claim_rows=2000, linger_s=0.5, linger_max_s=5.0)
TICK_S = 0.25
MICRO_BATCH_S = 0.4
NIGHT_S = 36_000.0
SOURCES = [TopicPartition("cluster", "ztf", "id", number) for number in range(16)]


class Message(NamedTuple):
    offset: int
    at_s: float


@dataclass
class Simulated:
    """What an archive made of a stream: delays of alerts, and the claims of each file."""

    delays_s: list[float] = field(default_factory=list)
    files: list[list[Claim]] = field(default_factory=list)

    def p95_s(self) -> float:
        return float(np.quantile(self.delays_s, 0.95))


def simulate(arrivals_s: Sequence[float], wait_s: float = WAIT_S) -> Simulated:
    """Let the alerts of 16 partitions go through intake and queue of the archive."""
    intakes = [PartitionIntake[Message](source, 0) for source in SOURCES]
    trickle = Trickle(wait_s, CLAIM_BYTES // 2)
    queue = ClaimQueue(most_claims=8, slots=2, backfill_per_s=0.0, trickle=trickle)
    partitions = np.random.default_rng(2).integers(0, len(SOURCES), len(arrivals_s))
    messages: dict[Claim, Sequence[Message]] = {}
    out = Simulated()
    offsets = defaultdict[int, int](int)
    done_s, running = 0.0, list[Dispatch]()
    next_alert, now_s = 0, 0.0
    while next_alert < len(arrivals_s) or len(out.delays_s) < len(arrivals_s):
        now_s += TICK_S
        while next_alert < len(arrivals_s) and arrivals_s[next_alert] <= now_s:
            number, at_s = int(partitions[next_alert]), arrivals_s[next_alert]
            intakes[number].add(Message(offsets[number], at_s), ZTF_BYTES, at_s)
            offsets[number] += 1
            next_alert += 1
        for intake in intakes:
            while cut := intake.cut(LIMITS, now_s):
                messages[cut.claim] = cut.messages
                alerts = len(cut.messages)
                nbytes = cut.size_bytes
                queue.add(Dispatch(0, cut.claim, 1, alerts=alerts, held_bytes=nbytes), now_s)
        if running and now_s >= done_s:
            for one in running:
                out.delays_s += [now_s - message.at_s for message in messages.pop(one.claim)]
            queue.done(one.claim for one in running)
            running = []
        if not running and (running := queue.take(now_s)):
            done_s = now_s + MICRO_BATCH_S
            groups = groups_of(running, trickle.shared_bytes)
            out.files += [[one.claim for one in group] for group in groups]
    return out


def poisson(per_s: float, seconds: float, begins_s: float = 0.0) -> list[float]:
    times = np.random.default_rng(1).uniform(0.0, seconds, round(per_s * seconds))
    return sorted((begins_s + times).tolist())


def test_a_night_of_ztf_has_at_most_8000_files_and_is_durable_within_10_s() -> None:
    """28 alerts/s over 16 partitions; without sharing it is 100 000 files."""
    seconds = 900.0
    simulated = simulate(poisson(28.0, seconds))
    assert len(simulated.files) * NIGHT_S / seconds <= 8000
    assert simulated.p95_s() < 9.0
    assert max(simulated.delays_s) < 12.0
    alone = simulate(poisson(28.0, seconds), wait_s=0.0)
    assert len(alone.files) * NIGHT_S / seconds > 80_000
    assert sorted(claim for file in alone.files for claim in file) == sorted(
        claim for file in simulated.files for claim in file
    )


@pytest.mark.parametrize("per_s", [120.0, 2000.0])
def test_under_load_no_claim_waits_and_none_shares_a_file(per_s: float) -> None:
    # The first moment of a load cannot be told from a trickle.
    simulated, alone = (simulate(poisson(per_s, 30.0), wait_s) for wait_s in (WAIT_S, 0.0))
    assert all(len(file) == 1 for file in simulated.files[60:])
    assert simulated.p95_s() <= alone.p95_s() + TICK_S


def test_neither_the_first_nor_the_last_alerts_of_a_visit_wait() -> None:
    """A visit of 1000 alerts within two seconds, each forty seconds, as ZTF's come."""
    arrivals_s = [at_s for n in range(5) for at_s in poisson(500.0, 2.0, begins_s=40.0 * n)]
    simulated, alone = (simulate(arrivals_s, wait_s) for wait_s in (WAIT_S, 0.0))
    assert simulated.p95_s() <= alone.p95_s() + 1.0
    assert max(simulated.delays_s) <= max(alone.delays_s) + 2.0


def test_an_alert_that_comes_alone_does_not_wait() -> None:
    arrivals_s = [60.0 * number for number in range(1, 20)]
    simulated, alone = (simulate(arrivals_s, wait_s) for wait_s in (WAIT_S, 0.0))
    assert simulated.delays_s == alone.delays_s


def test_a_drain_sends_what_waits() -> None:
    queue = ClaimQueue(most_claims=8, slots=2, backfill_per_s=0.0, trickle=Trickle(WAIT_S, 1 << 20))
    for number in range(4):
        queue.add(dispatch(number), 0.0 + number)
        if taken := queue.take(0.0 + number):
            queue.done(one.claim for one in taken)
    queue.add(dispatch(4), 3.1)
    assert queue.take(3.2) == []
    queue.drain()
    assert [one.claim.first_offset for one in queue.take(3.2)] == [3, 4]


def test_a_backfill_does_not_wait_for_a_trickle() -> None:
    queue = ClaimQueue(most_claims=8, slots=2, backfill_per_s=0.0, trickle=Trickle(WAIT_S, 1 << 20))
    queue.add(dispatch(0), 0.0)
    queue.done(one.claim for one in queue.take(0.0))
    queue.add(dispatch(1), 0.1)
    backfill = Dispatch(0, Claim(SOURCES[1], 0, 9), 1, lane="backfill")
    queue.add(backfill, 0.1)
    assert queue.take(0.2) == [backfill]
    queue.done([backfill.claim])
    assert [one.shares_files for one in queue.take(0.6)] == [True]


def test_a_claim_that_is_dispatched_twice_is_sent_once() -> None:
    """A restarted query gets all claims again, and a late outcome may give one of them back."""
    queue = ClaimQueue(most_claims=8, slots=2, backfill_per_s=0.0, trickle=Trickle(WAIT_S, 1 << 20))
    queue.add(dispatch(0), 0.0)
    queue.add(dispatch(0), 0.0)
    assert len(queue.take(0.0)) == 1
    queue.add(dispatch(0), 0.1)
    queue.done([dispatch(0).claim])
    assert len(queue.take(9.0)) == 1


def dispatch(
    number: int, *, topic: str = "ztf", nbytes: int = 1, generation: int = 1, shares: bool = True
) -> Dispatch:
    claim = Claim(SOURCES[0]._replace(topic=topic), number, number)
    return Dispatch(0, claim, generation, alerts=1, held_bytes=nbytes, shares_files=shares)


DISPATCHES = st.lists(
    st.builds(
        dispatch,
        st.integers(0, 9),
        topic=st.sampled_from(["ztf", "lsst"]),
        nbytes=st.integers(0, 60),
        generation=st.integers(1, 2),
        shares=st.booleans(),
    ),
    max_size=20,
)


@given(DISPATCHES)
@settings(max_examples=examples(50), deadline=None)
def test_a_group_has_claims_of_one_topic_each_once_and_a_bounded_size(
    dispatches: list[Dispatch],
) -> None:
    groups = groups_of(dispatches, 100)
    assert sorted(map(id, dispatches)) == sorted(id(one) for group in groups for one in group)
    for group in groups:
        assert len({one.claim.source.topic for one in group}) == 1
        assert len({one.claim for one in group}) == len(group)
        assert len(group) == 1 or all(one.shares_files for one in group)
        assert len(group) == 1 or sum(one.held_bytes for one in group) <= 100
