"""Claims are contiguous, cover every offset once, and have gaps where Kafka gave no message."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Gap, TopicPartition
from finkray.ingest.intake import (
    CutLimits,
    PartitionIntake,
    linger_s,
    message_credit,
    next_linger_s,
)

SOURCE = TopicPartition("cluster", "ztf", "id", 0)
LIMITS = CutLimits(claim_bytes=1000, claim_rows=5, linger_s=0.5)


@dataclass(frozen=True)
class At:
    offset: int


def intake(next_offset: int = 0) -> PartitionIntake[At]:
    return PartitionIntake(SOURCE, next_offset)


def test_nothing_to_claim_without_messages() -> None:
    assert intake().cut(LIMITS, now_s=100.0, flush=True) is None


def test_a_claim_is_cut_when_it_is_large_enough() -> None:
    part = intake()
    part.add(At(0), 999, now_s=0.0)
    assert part.cut(LIMITS, now_s=0.1) is None
    part.add(At(1), 1, now_s=0.1)
    cut = part.cut(LIMITS, now_s=0.1)
    assert cut is not None
    assert (cut.claim.first_offset, cut.claim.last_offset, cut.size_bytes) == (0, 1, 1000)
    assert part.pending_bytes == 0


def test_a_claim_is_cut_when_it_has_enough_rows() -> None:
    part = intake()
    for offset in range(5):
        part.add(At(offset), 1, now_s=0.0)
    cut = part.cut(LIMITS, now_s=0.0)
    assert cut is not None
    assert cut.claim.offsets == 5


def test_a_trickle_is_cut_by_the_age_of_its_oldest_message() -> None:
    part = intake()
    part.add(At(0), 1, now_s=10.0)
    part.add(At(1), 1, now_s=10.4)
    assert part.due_in_s(LIMITS, now_s=10.4) == pytest.approx(0.1)
    assert part.cut(LIMITS, now_s=10.49) is None
    assert part.cut(LIMITS, now_s=10.5) is not None


PATIENT = CutLimits(claim_bytes=64_000, claim_rows=1000, linger_s=0.5, linger_max_s=5.0)
WORTH = 1000
"""A 64th of a claim."""


@pytest.mark.parametrize(
    ("linger_now_s", "pending_bytes", "quiet_s", "expected_s"),
    [
        (0.5, 10, 1.0, 0.5),
        (4.0, 10, 1.0, 4.0),
        # There is enough for a file.
        (4.0, WORTH, 1.0, 0.5),
        (4.0, WORTH - 1, 1.0, 4.0),
        # Nothing came for longer than it would wait: it is alone.
        (4.0, 10, 5.0, 0.5),
        (4.0, 10, 4.9, 4.0),
        (0.5, 10, float("inf"), 0.5),
    ],
)
def test_the_age_at_which_a_claim_is_cut(
    linger_now_s: float, pending_bytes: int, quiet_s: float, expected_s: float
) -> None:
    assert linger_s(PATIENT, linger_now_s, pending_bytes, quiet_s) == expected_s


@pytest.mark.parametrize(
    ("limits", "lingered_s", "size_bytes", "expected_s"),
    [
        (PATIENT, 0.5, 10, 1.0),
        (PATIENT, 4.0, 10, 5.0),
        (PATIENT, 5.0, 10, 5.0),
        (PATIENT, 5.0, WORTH, 0.5),
        # Without a longer one, or with a shorter one, there is one linger.
        (CutLimits(64_000, 1000, 0.5), 0.5, 10, 0.5),
        (CutLimits(64_000, 1000, 0.5, 0.1), 0.5, 10, 0.5),
    ],
)
def test_the_age_of_the_next_claim_follows_from_the_last_one(
    limits: CutLimits, lingered_s: float, size_bytes: int, expected_s: float
) -> None:
    assert next_linger_s(limits, lingered_s, size_bytes) == expected_s


def cuts_of(arrivals_s: list[float], size_bytes: int, until_s: float) -> list[tuple[float, int]]:
    """The times at which claims are cut, and their messages, checked each 50 ms."""
    part = intake()
    cuts = []
    waiting = list(enumerate(arrivals_s))
    for now_s in (0.05 * step for step in range(int(until_s / 0.05) + 1)):
        while waiting and waiting[0][1] <= now_s:
            part.add(At(waiting.pop(0)[0]), size_bytes, now_s)
        if (cut := part.cut(PATIENT, now_s)) is not None:
            cuts.append((now_s, len(cut.messages)))
    return cuts


def test_a_trickle_becomes_at_most_one_file_in_five_seconds() -> None:
    cuts = cuts_of([float(second) for second in range(120)], 10, until_s=130.0)
    assert sum(messages for _, messages in cuts) == 120
    assert len(cuts) <= 4 + 120 / 5
    # And no alert waits for longer.
    assert max(messages for _, messages in cuts) <= 6


def test_an_alert_each_minute_does_not_wait_for_others() -> None:
    cuts = cuts_of([0.0, 60.0, 120.0], 10, until_s=150.0)
    assert [round(at_s, 2) for at_s, _ in cuts] == [0.5, 60.5, 120.5]


def test_neither_a_burst_after_a_trickle_nor_its_tail_is_delayed() -> None:
    trickle = [float(second) for second in range(20)]
    burst = [20.0 + 0.01 * number for number in range(400)]
    cuts = [cut for cut in cuts_of([*trickle, *burst], WORTH // 4, until_s=40.0) if cut[0] > 19.9]
    gaps_s = [later - sooner for (sooner, _), (later, _) in pairwise(cuts)]
    assert max(gaps_s) <= 0.65
    assert cuts[-1][0] <= 24.0 + 0.65


def test_offsets_that_kafka_does_not_deliver_are_gaps_of_the_claim() -> None:
    part = intake(next_offset=10)
    for offset in (12, 13, 16):
        part.add(At(offset), 1, now_s=0.0)
    cut = part.cut(LIMITS, now_s=0.0, flush=True)
    assert cut is not None
    assert (cut.claim.first_offset, cut.claim.last_offset) == (10, 16)
    assert cut.gaps == (Gap("not_delivered", 10, 11), Gap("not_delivered", 14, 15))


def test_the_end_of_the_partition_closes_a_tail_of_transaction_markers() -> None:
    part = intake()
    part.add(At(0), 1, now_s=0.0)
    part.reached_end(3, now_s=0.0)
    cut = part.cut(LIMITS, now_s=0.0, flush=True)
    assert cut is not None
    assert cut.claim.last_offset == 2
    assert cut.gaps == (Gap("not_delivered", 1, 2),)
    assert part.next_offset == 3


def test_a_partition_with_markers_only_becomes_a_claim_of_one_gap() -> None:
    part = intake()
    part.reached_end(4, now_s=1.0)
    assert part.cut(LIMITS, now_s=1.1) is None
    cut = part.cut(LIMITS, now_s=1.5)
    assert cut is not None
    assert cut.messages == ()
    assert cut.gaps == (Gap("not_delivered", 0, 3),)


def test_an_end_that_is_known_already_makes_no_claim() -> None:
    part = intake(next_offset=4)
    part.reached_end(4, now_s=0.0)
    assert part.cut(LIMITS, now_s=9.0, flush=True) is None


def test_messages_out_of_order_are_refused() -> None:
    part = intake()
    part.add(At(3), 1, now_s=0.0)
    with pytest.raises(ValueError, match="came after"):
        part.add(At(3), 1, now_s=0.0)


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 600), st.sampled_from("..fe")), max_size=60
    ),
    first=st.integers(0, 50),
)
def test_claims_cover_every_offset_exactly_once(
    steps: list[tuple[int, int, str]], first: int
) -> None:
    part = intake(first)
    offset, now_s, sent, cuts = first - 1, 0.0, [], []
    for skip, size, then in steps:
        offset += skip
        now_s += 0.1
        part.add(At(offset), size, now_s)
        sent.append(offset)
        if then == "e":
            offset += 2
            part.reached_end(offset + 1, now_s)
        cuts.append(part.cut(LIMITS, now_s, flush=then == "f"))
    cuts.append(part.cut(LIMITS, now_s, flush=True))
    made = [cut for cut in cuts if cut is not None]
    expected = first
    for cut in made:
        assert cut.claim.first_offset == expected
        expected = cut.claim.last_offset + 1
        covered = {message.offset for message in cut.messages}
        for gap in cut.gaps:
            inside = set(range(gap.first_offset, gap.last_offset + 1))
            assert not inside & covered
            covered |= inside
        assert covered == set(range(cut.claim.first_offset, cut.claim.last_offset + 1))
    assert [message.offset for cut in made for message in cut.messages] == sent


@given(
    limit=st.integers(0, 10_000),
    taken=st.integers(0, 10_000),
    reserve=st.integers(0, 5_000),
    largest=st.integers(1, 1_000),
)
def test_the_messages_of_a_fetch_never_exceed_the_limit(
    limit: int, taken: int, reserve: int, largest: int
) -> None:
    credit = message_credit(
        limit_bytes=limit, used_bytes=taken, reserve_bytes=reserve, max_message_bytes=largest
    )
    assert credit == 0 or taken + reserve + credit * largest <= limit
