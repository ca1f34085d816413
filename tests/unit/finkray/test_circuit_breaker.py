"""When a circuit breaker opens, how long it rests, and what closes it."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.circuit_breaker import CircuitBreaker


@given(st.lists(st.sampled_from(["ok", "fail", "wait"]), max_size=40), st.integers(1, 4))
def test_it_is_open_only_within_its_rest_after_enough_failures(
    events: list[str], limit: int
) -> None:
    now_s = 0.0
    breaker = CircuitBreaker(limit, rest_s=10)
    row, last_s = 0, 0.0
    for event in events:
        if event == "wait":
            now_s += 4
        elif breaker.allows(now_s):
            breaker.begin()
            if event == "ok":
                breaker.succeeded()
                row = 0
            else:
                breaker.failed(now_s)
                row, last_s = row + 1, now_s
        assert breaker.allows(now_s) == (row < limit or now_s - last_s >= 10)


def test_each_test_that_fails_doubles_the_rest_up_to_the_longest() -> None:
    breaker = CircuitBreaker(1, rest_s=10, longest_rest_s=30)
    now_s, rests = 0.0, []
    for _ in range(4):
        breaker.begin()
        breaker.failed(now_s)
        rest_s = next(s for s in range(100) if not breaker.is_resting(now_s + s))
        rests.append(rest_s)
        now_s += rest_s
    assert rests == [10, 20, 30, 30]
    assert breaker.opened == 4
    breaker.begin()
    breaker.succeeded()
    breaker.failed(now_s)
    assert breaker.is_resting(now_s + 9)
    assert not breaker.is_resting(now_s + 10)


def test_it_knows_since_when_nothing_has_succeeded() -> None:
    breaker = CircuitBreaker(1, rest_s=10)
    assert breaker.opened_s is None
    for now_s in (100, 110, 120):
        breaker.begin()
        breaker.failed(now_s)
        assert breaker.opened_s == 100
    breaker.begin()
    breaker.succeeded()
    assert breaker.opened_s is None


def test_while_one_attempt_decides_no_other_is_made() -> None:
    breaker = CircuitBreaker(1, rest_s=10)
    breaker.failed(0.0)
    assert not breaker.allows(9.0)
    assert breaker.allows(10.0)
    breaker.begin()
    assert breaker.state == "half_open"
    assert not breaker.allows(100.0)
    breaker.lost(100.0)  # another one is needed, after the same rest
    assert (breaker.state, breaker.opened) == ("open", 1)
    assert not breaker.allows(109.0)
    assert breaker.allows(110.0)


def test_failures_that_come_in_while_it_is_open_do_not_lengthen_its_rest() -> None:
    breaker = CircuitBreaker(2, rest_s=10)
    for _ in range(5):
        breaker.failed(0.0)
    assert breaker.opened == 1
    assert breaker.allows(10.0)
