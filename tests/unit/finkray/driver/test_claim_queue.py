"""Live claims go first, and a backfill keeps to its room and its rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim, TopicPartition
from finkray.driver.claim_queue import (
    LIVE_S,
    MICRO_BATCH_BYTES,
    MICRO_BATCH_FILES,
    RETRY_S,
    ClaimQueue,
    split_by_cost,
)
from finkray.driver.instructions import Dispatch
from finkray.driver.token_bucket import TokenBucket
from finkray.driver.trickle import Trickle
from finkray.ingest.messages import LaneKind

A = TopicPartition("cluster", "ztf", "id", 0)


def dispatch(
    number: int, lane: LaneKind = "live", *, alerts: int = 100, delayed: bool = False
) -> Dispatch:
    return Dispatch(0, Claim(A, number, number), 1, delayed, lane, alerts)


def queue(backfill_per_s: float = 0.0) -> ClaimQueue:
    never = Trickle(0.0, 0)
    return ClaimQueue(most_claims=8, slots=2, backfill_per_s=backfill_per_s, trickle=never)


def taken(queue: ClaimQueue, now_s: float) -> list[int]:
    return [one.claim.first_offset for one in queue.take(now_s)]


def fill(queue: ClaimQueue, live: int, backfill: int, now_s: float = 0.0) -> None:
    for number in range(backfill):
        queue.add(dispatch(100 + number, "backfill"), now_s)
    for number in range(live):
        queue.add(dispatch(number), now_s)


def test_live_claims_go_first_and_leave_the_backfill_the_task_slots() -> None:
    claims = queue()
    fill(claims, live=3, backfill=9)
    assert taken(claims, 0.0) == [0, 1, 2, 100, 101]
    assert taken(claims, 0.1) == []


def back(queue: ClaimQueue, *numbers: int) -> None:
    queue.done([Claim(A, number, number) for number in numbers])


def test_a_live_claim_is_in_the_next_micro_batch_whatever_a_backfill_has_waiting() -> None:
    claims = queue()
    fill(claims, live=0, backfill=20)
    assert taken(claims, 0.0) == [*range(100, 108)]
    claims.add(dispatch(1), 0.1)
    assert taken(claims, 0.1) == []
    back(claims, *range(100, 108))
    assert taken(claims, 0.2) == [1, 108, 109]


def test_a_backfill_fills_the_micro_batch_when_the_live_lanes_are_quiet() -> None:
    claims = queue()
    fill(claims, live=1, backfill=20)
    assert taken(claims, 0.0) == [0, 100, 101]
    back(claims, 0, 100, 101)
    assert taken(claims, LIVE_S - 0.1) == [102, 103]
    back(claims, 102, 103)
    assert len(taken(claims, LIVE_S)) == 8


def test_the_next_claims_are_sent_together_when_the_last_ones_are_done() -> None:
    claims = queue()
    fill(claims, live=10, backfill=5)
    assert taken(claims, 0.0) == [*range(8), 100, 101]
    back(claims, *range(8), 100)
    assert taken(claims, 0.0) == []
    back(claims, 101)
    assert taken(claims, 0.0) == [8, 9, 102, 103]


@given(st.lists(st.integers(0, 3000), max_size=30), st.integers(1, 6))
def test_tasks_share_the_claims_of_a_micro_batch_evenly(alerts: list[int], tasks: int) -> None:
    claims = [dispatch(number, alerts=count) for number, count in enumerate(alerts)]
    shares = split_by_cost([[claim] for claim in claims], tasks)
    assert len(shares) == min(tasks, len(claims))
    assert all(shares)
    split = [one.claim for share in shares for (one,) in share]
    assert sorted(split) == [one.claim for one in claims]
    sums = [sum(one.alerts for (one,) in share) for share in shares]
    if sums:
        assert max(sums) - min(sums) <= max(alerts) + len(alerts)


def costly(topic: str, number: int, files: int, nbytes: int = 0) -> Dispatch:
    claim = Claim(A._replace(topic=topic), number, number)
    return Dispatch(0, claim, 1, alerts=1, write_cost=files, held_bytes=nbytes)


def test_a_claim_of_a_quiet_topic_is_in_the_next_micro_batch() -> None:
    claims = queue()
    for number in range(50):
        claims.add(costly("flood", number, files=64), 0.0)
    first = claims.take(0.0)
    assert len(first) == MICRO_BATCH_FILES // 64
    claims.add(costly("calm", 0, files=1), 0.1)
    claims.done(one.claim for one in first)
    assert "calm" in [one.claim.source.topic for one in claims.take(0.2)]


COSTS = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 2 * MICRO_BATCH_FILES),
    st.integers(0, 2 * MICRO_BATCH_BYTES),
)


@given(st.lists(COSTS, max_size=40))
def test_micro_batches_are_bounded_and_topics_take_turns(drawn: list[tuple[str, int, int]]) -> None:
    claims = queue()
    waiting: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for number, (topic, files, nbytes) in enumerate(drawn):
        claims.add(costly(topic, number, files, nbytes), 0.0)
        waiting[topic].append(number)
    last: list[str] = []
    while taken := claims.take(0.0):
        if len(taken) > 1:
            assert sum(one.write_cost for one in taken) <= MICRO_BATCH_FILES
            assert sum(one.held_bytes for one in taken) <= MICRO_BATCH_BYTES
        for one in taken:
            topic = one.claim.source.topic
            assert waiting[topic].pop(0) == one.claim.first_offset
            # Since its last turn, each other topic that waits has had one.
            since = last[len(last) - last[::-1].index(topic) :] if topic in last else []
            others = {name for name in waiting if name != topic and waiting[name]}
            assert topic not in last or others <= set(since)
            last.append(topic)
        claims.done(one.claim for one in taken)
    assert not any(waiting.values())


def test_costly_live_claims_leave_the_backfill_a_claim() -> None:
    claims = queue()
    for number in range(9):
        claims.add(costly("flood", number, files=MICRO_BATCH_FILES), 0.0)
    claims.add(dispatch(100, "backfill"), 0.0)
    assert [one.lane for one in claims.take(0.0)] == ["live", "backfill"]


def test_a_refused_claim_is_dispatched_again_after_a_pause() -> None:
    claims = queue()
    claims.add(dispatch(1, delayed=True), 0.0)
    assert taken(claims, RETRY_S - 0.1) == []
    assert taken(claims, RETRY_S) == [1]


def test_a_cap_holds_the_backfill_back_and_never_the_live_lanes() -> None:
    claims = queue(backfill_per_s=10)
    fill(claims, live=2, backfill=3)
    assert taken(claims, 0.0) == [0, 1, 100]
    back(claims, 0, 1, 100)
    # 100 alerts were spent where 10 were there.
    assert taken(claims, 9.0) == []
    assert taken(claims, 9.1) == [101]


def test_an_archive_that_drains_ignores_cap_and_priority() -> None:
    claims = queue(backfill_per_s=1)
    fill(claims, live=1, backfill=9)
    claims.drain()
    assert len(taken(claims, 0.0)) == 8


def test_a_restarted_query_gets_claims_at_once() -> None:
    claims = queue()
    fill(claims, live=4, backfill=9)
    claims.take(0.0)
    claims.clear()
    fill(claims, live=4, backfill=9)
    assert taken(claims, 0.0) == [0, 1, 2, 3, 100, 101]


@given(
    per_s=st.floats(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500)), min_size=1, max_size=50),
)
def test_no_more_is_spent_than_flows_in_but_for_one_claim(
    per_s: float, steps: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(per_s)
    now_s, spent, largest = 0.0, 0, 0
    for pause_s, amount in steps:
        now_s += pause_s
        if bucket.is_open(now_s):
            bucket.spend(amount)
            spent += amount
            largest = max(largest, amount)
    assert spent <= per_s * (now_s + 1.0) + largest + 1e-6


@pytest.mark.parametrize("per_s", [3.0, 250.0])
def test_the_whole_rate_is_used_when_there_is_always_something_to_spend(per_s: float) -> None:
    bucket = TokenBucket(per_s)
    spent = 0
    for now_s in np.arange(0.0, 100.0, 0.05):
        while bucket.is_open(float(now_s)):
            bucket.spend(7)
            spent += 7
    assert spent >= per_s * 99
