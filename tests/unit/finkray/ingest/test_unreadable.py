"""The end of a record batch that cannot be read is found, and nothing else is skipped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.unreadable import (
    PROBE_S,
    RETRY_S,
    BatchEndSearch,
    GiveUp,
    Probe,
    Skip,
    UnreadableBatches,
    find_last_offset,
    unreadable_claim,
)

KEY = ("t", 0)
SOURCE = TopicPartition("cluster", "t", "id", 0)


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(0, 10**9))
def test_the_end_of_a_batch_is_found_with_few_probes(first: int, length: int, behind: int) -> None:
    last = first + length - 1
    probes: list[int] = []

    def is_inside(offset: int) -> bool:
        probes.append(offset)
        return offset <= last

    assert find_last_offset(BatchEndSearch(first, last + 1 + behind), is_inside) == last
    assert all(first < offset <= last + behind for offset in probes)
    assert len(probes) <= 2 * length.bit_length() + 2


def test_a_search_needs_an_offset_behind_the_batch() -> None:
    with pytest.raises(ValueError, match="no batch from 5"):
        BatchEndSearch(5, 5)


def test_a_batch_is_tried_again_and_then_skipped() -> None:
    batches = UnreadableBatches(tries=2)
    batches.failed(KEY, 10, 10, "it is damaged", 0.0)
    assert "offset 10 cannot be read, try 1 of 2: it is damaged" in batches.texts[KEY]
    assert batches.due(RETRY_S - 0.1) == []
    assert batches.due(RETRY_S) == [KEY]
    assert not batches.search(KEY, 10, 100)
    batches.failed(KEY, 10, 10, "it is damaged", 4.0)
    assert batches.due(4.0 + RETRY_S) == [KEY]
    assert batches.search(KEY, 10, 100)
    (step,) = batches.next_steps(7.0)
    while isinstance(step, Probe):
        assert batches.next_steps(7.0) == []
        batches.answer(KEY, 10 if step.offset <= 12 else None)
        # What follows in the same fetch says nothing more.
        batches.answer(KEY, None)
        batches.answer(KEY, 10)
        (step,) = batches.next_steps(7.0)
    assert step == Skip(KEY, 10, 12)
    batches.forget(KEY)
    assert not batches.texts


def test_another_batch_and_a_batch_that_became_readable_count_anew() -> None:
    batches = UnreadableBatches(tries=2)
    batches.failed(KEY, 10, 10, "why", 0.0)
    batches.failed(KEY, 20, 20, "why", 1.0)
    assert not batches.search(KEY, 20, 100)
    batches.forget(KEY)
    batches.failed(KEY, 20, 20, "why", 3.0)
    assert not batches.search(KEY, 20, 100)


def test_another_batch_that_cannot_be_read_is_outside() -> None:
    batches = UnreadableBatches(tries=1)
    batches.failed(KEY, 10, 10, "why", 0.0)
    assert batches.search(KEY, 10, 12)
    assert batches.next_steps(0.0) == [Probe(KEY, 11)]
    batches.answer(KEY, 11)
    assert batches.next_steps(0.0) == [Skip(KEY, 10, 10)]


def test_a_search_continues_where_a_probe_had_no_answer() -> None:
    batches = UnreadableBatches(tries=1)
    batches.failed(KEY, 10, 10, "why", 0.0)
    assert batches.search(KEY, 10, 20)
    assert batches.next_steps(0.0) == [Probe(KEY, 11)]
    batches.answer(KEY, 10)
    assert batches.next_steps(0.0) == [Probe(KEY, 13)]
    assert batches.next_steps(PROBE_S - 0.1) == []
    assert batches.next_steps(PROBE_S) == [GiveUp(KEY)]
    assert not batches.searching(KEY)
    assert batches.due(PROBE_S + RETRY_S) == [KEY]
    assert batches.search(KEY, 10, 25), "messages that came meanwhile lie behind the batch"
    assert batches.next_steps(20.0) == [Probe(KEY, 13)]
    batches.answer(KEY, 13)
    assert batches.next_steps(20.0) == [Probe(KEY, 12)]
    batches.answer(KEY, 12)
    assert batches.next_steps(20.0) == [Skip(KEY, 10, 11)]


def test_a_search_waits_twice_as_long_after_each_probe_without_an_answer() -> None:
    batches = UnreadableBatches(tries=1)
    now_s, waited_s = 0.0, []
    for _ in range(6):
        batches.failed(KEY, 10, 10, "why", now_s)
        assert batches.search(KEY, 10, 20)
        assert batches.next_steps(now_s) == [Probe(KEY, 11)]
        waited_s.append(PROBE_S)
        while batches.next_steps(now_s + waited_s[-1]) != [GiveUp(KEY)]:
            waited_s[-1] *= 2
        now_s += waited_s[-1]
    assert waited_s == [PROBE_S * factor for factor in (1, 2, 4, 8, 16, 16)]


def test_a_search_continues_though_its_batch_failed_once_more() -> None:
    batches = UnreadableBatches(tries=1)
    batches.failed(KEY, 10, 10, "why", 0.0)
    assert batches.search(KEY, 10, 20)
    batches.next_steps(0.0)
    batches.answer(KEY, 10)
    assert batches.next_steps(0.0) == [Probe(KEY, 13)]
    assert batches.next_steps(PROBE_S) == [GiveUp(KEY)]
    batches.failed(KEY, 10, 10, "why", PROBE_S)
    assert batches.search(KEY, 10, 20)
    assert batches.next_steps(PROBE_S) == [Probe(KEY, 13)]


def test_a_batch_at_the_end_needs_no_probe_and_one_that_expired_is_not_skipped() -> None:
    batches = UnreadableBatches(tries=1)
    batches.failed(KEY, 10, 11, "why", 0.0)
    assert not batches.search(KEY, 12, 12)
    assert batches.search(KEY, 11, 12)
    assert batches.next_steps(0.0) == [Skip(KEY, 11, 11)]


def test_the_claim_of_a_batch_covers_the_offsets_before_it() -> None:
    cut = unreadable_claim(SOURCE, 8, 10, 12)
    assert cut.claim == Claim(SOURCE, 8, 12)
    assert cut.gaps == (Gap("not_delivered", 8, 9), Gap("unreadable", 10, 12))
    assert unreadable_claim(SOURCE, 10, 10, 10).gaps == (Gap("unreadable", 10, 10),)
