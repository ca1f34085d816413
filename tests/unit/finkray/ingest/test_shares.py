"""No topic takes the room of the others, and a topic that has nothing never waits."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.ingest.shares import (
    HELD_BACK_AGAIN_S,
    SHARE,
    SURE,
    HeldBackTopics,
    may_decode,
    poll_credit,
    waiting_topics,
)

USED = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), max_size=6)


@given(USED, st.integers(0, 2000), st.sets(st.sampled_from("abcdef")))
def test_a_topic_waits_only_for_what_it_uses_itself(
    used: dict[str, int], room: int, waiting: set[str]
) -> None:
    waits = waiting_topics(used, room, waiting)
    assert all(used[topic] > 0 for topic in waits)
    if len(used) == 1:
        assert not waits
    # What uses more than another one that waits, waits too, unless it would have to begin.
    for topic in waits - waiting:
        assert {other for other in used if used[other] >= used[topic]} <= waits
    assert all(used[topic] > SURE * room / len(used) for topic in waits)


@given(st.integers(1, 5), st.integers(100, 10_000), st.integers(1, 30))
def test_topics_that_flood_leave_room_for_one_more(floods: int, room: int, step: int) -> None:
    """Each floods in small steps until all of them wait."""
    used = {f"flood{n}": 0 for n in range(floods)} | {"calm": 0}
    waits: set[str] = set()
    while len(waits) < floods:
        for topic in sorted(used.keys() - {"calm"} - waits):
            used[topic] += step
        waits = waiting_topics(used, room, waits)
        assert "calm" not in waits
    left = room - sum(used.values())
    assert left >= room // (1 + SHARE * floods) - step * floods - 1


@given(st.integers(0, 1000), st.integers(1, 9))
def test_a_poll_takes_a_part_of_the_room_and_at_least_a_message(credit: int, topics: int) -> None:
    assert min(credit, 1) <= poll_credit(credit, topics) <= credit
    assert topics > 1 or poll_credit(credit, topics) == credit


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_something_may_always_be_decoded(mine: int, others: int, room: int) -> None:
    assert may_decode(0, others, room, 2)
    if may_decode(mine, mine + others, room, 2) and mine:
        assert mine + others < room
    # A topic alone fills the room, so that reading stops, and is seen to, when nothing is durable.
    assert may_decode(mine, mine, room, 1) == (mine <= room or mine == 0)


def test_a_topic_is_held_back_for_as_long_as_it_has_no_real_break() -> None:
    held_back = HeldBackTopics()
    flood, calm = {"flood": 900, "calm": 0}, {"flood": 0, "calm": 0}
    for second in range(0, 100, 5):
        # It is read for a moment between two waits.
        held_back.update(flood, 1000, float(second))
        assert held_back.topics == {"flood"}
        assert held_back.seconds(second + 1.0) == {"flood": second + 1.0}
        held_back.update(calm, 1000, second + 2.0)
        assert not held_back.topics
    assert held_back.seconds(95 + HELD_BACK_AGAIN_S + 1) == {}
    held_back.update(flood, 1000, 200.0)
    assert held_back.seconds(203.0) == {"flood": 3.0}
