"""Keys take turns, and the items of each stay in their order."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from finkray.turns import Turns


@given(st.lists(st.one_of(st.sampled_from("abcd"), st.none()), max_size=60))
def test_no_key_waits_for_more_than_one_turn_of_each_other(steps: list[str | None]) -> None:
    """A letter adds an item of that key, None takes the next item."""
    turns: Turns[str, int] = Turns()
    expected: dict[str, list[int]] = defaultdict(list)
    waited: dict[str, list[str]] = {}
    for number, key in enumerate(steps):
        if key is not None:
            waited.setdefault(key, [])
            turns.add(key, number)
            expected[key].append(number)
            continue
        served = turns.next_key()
        if served is None:
            assert len(turns) == 0
            continue
        assert turns.pop(served) == expected[served].pop(0)
        del waited[served]
        for others in waited.values():
            assert served not in others
            others.append(served)
        if expected[served]:
            waited[served] = []
    assert sorted(turns) == sorted(item for items in expected.values() for item in items)


def test_a_key_can_be_skipped_and_its_items_removed() -> None:
    turns: Turns[str, int] = Turns()
    for key, item in (("a", 1), ("b", 2), ("a", 3)):
        turns.add(key, item)
    assert turns.next_key({"a"}) == "b"
    assert turns.next_key({"a", "b"}) is None
    turns.pass_turn("a")
    assert turns.next_key() == "b"
    turns.keep(lambda item: item != 2)
    assert (turns.next_key(), turns.first("a"), len(turns)) == ("a", 1, 2)
    turns.clear()
    assert turns.next_key() is None
