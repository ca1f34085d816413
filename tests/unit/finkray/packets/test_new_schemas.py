"""A topic may bring a number of new schemas, and after that as many within an hour."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.packets.new_schemas import HOUR_S, NewSchemas


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_topic_gets_its_allowance_back_within_an_hour() -> None:
    clock = Clock()
    schemas = NewSchemas(2, clock)
    assert [schemas.admits("t", text) for text in (b"a", b"b", b"c", b"a")] == [
        True,
        True,
        False,
        True,
    ]
    clock.now_s = HOUR_S / 2
    assert schemas.admits("t", b"c")
    assert not schemas.admits("t", b"d")


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.floats(0, HOUR_S))),
)
def test_no_topic_brings_more_than_its_rate_and_a_known_schema_always_may(
    per_h: int, steps: list[tuple[str, int, float]]
) -> None:
    clock = Clock()
    schemas = NewSchemas(per_h, clock)
    admitted: set[tuple[str, int]] = set()
    for topic, number, pause_s in steps:
        clock.now_s += pause_s
        if schemas.admits(topic, b"%d" % number):
            admitted.add((topic, number))
        else:
            assert (topic, number) not in admitted
        brought = sum(of == topic for of, _ in admitted)
        assert brought <= per_h * (1 + clock.now_s / HOUR_S) + 1e-6
