"""When staged claims are committed."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.serving.commits import CommitSettings, is_due

SETTINGS = CommitSettings(claims=4, wait_s=0.5)


def test_nothing_staged_is_never_due() -> None:
    assert not is_due(0, 100.0, SETTINGS, nothing_else_to_do=True)


def test_claims_are_committed_together_while_more_are_in_work() -> None:
    assert not is_due(3, 0.4, SETTINGS, nothing_else_to_do=False)
    assert is_due(4, 0.0, SETTINGS, nothing_else_to_do=False)
    assert is_due(1, 0.5, SETTINGS, nothing_else_to_do=False)


def test_a_claim_does_not_wait_for_others_when_there_are_none() -> None:
    assert is_due(1, 0.0, SETTINGS, nothing_else_to_do=True)


@given(st.integers(1, 100), st.floats(0, 10), st.booleans())
def test_more_claims_and_longer_waits_never_make_it_less_due(
    staged: int, waited_s: float, nothing_else: bool
) -> None:
    if is_due(staged, waited_s, SETTINGS, nothing_else_to_do=nothing_else):
        assert is_due(staged + 1, waited_s + 1, SETTINGS, nothing_else_to_do=nothing_else)
