"""An actor's share of the held bytes is never passed, whatever the settings."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.budget import Budget
from finkray.intake import CutLimits


@given(
    held_bytes=st.integers(2**20, 2**36),
    actors=st.integers(1, 16),
    claim_bytes=st.integers(1024, 2**30),
    max_message_bytes=st.integers(1024, 2**26),
)
def test_queue_decoding_and_one_message_always_fit(
    held_bytes: int, actors: int, claim_bytes: int, max_message_bytes: int
) -> None:
    budget = Budget.share(
        held_bytes=held_bytes,
        actors=actors,
        max_message_bytes=max_message_bytes,
        limits=CutLimits(claim_bytes, 2000, 0.5),
    )
    assert budget.limit_bytes * actors <= held_bytes
    assert budget.reserve_bytes + budget.max_message_bytes <= budget.limit_bytes
    # A full claim fits beside the reserve, so that reading never stops for good.
    assert budget.reserve_bytes + budget.limits.claim_bytes <= budget.limit_bytes
