"""An actor never holds more than its share of the held bytes, whatever the settings."""

from hypothesis import given
from hypothesis import strategies as st

from finkray.ingest.budget import BACKFILL_CLAIMS, Budget, LaneUsage
from finkray.ingest.intake import CutLimits

budgets = st.builds(
    lambda held_bytes, actors, claim_bytes, max_message_bytes: Budget.share(
        held_bytes=held_bytes,
        actors=actors,
        max_message_bytes=max_message_bytes,
        limits=CutLimits(claim_bytes, 2000, 0.5),
    ),
    held_bytes=st.integers(2**20, 2**36),
    actors=st.integers(1, 16),
    claim_bytes=st.integers(1024, 2**30),
    max_message_bytes=st.integers(1024, 2**26),
)
shares = st.floats(0, 1)


@given(budget=budgets, held_bytes=st.integers(2**20, 2**36), actors=st.integers(1, 16))
def test_all_actors_together_never_exceed_the_held_bytes(
    budget: Budget, held_bytes: int, actors: int
) -> None:
    shared = Budget.share(
        held_bytes=held_bytes,
        actors=actors,
        max_message_bytes=budget.max_message_bytes,
        limits=budget.limits,
    )
    assert shared.limit_bytes * actors <= held_bytes


@given(budget=budgets)
def test_queues_decoding_and_a_claim_of_each_kind_always_fit(budget: Budget) -> None:
    """So that neither the live lanes nor a backfill ever stop for good."""
    reserve = budget.reserve_bytes(backfilling=True)
    claim = LaneUsage(held_bytes=budget.limits.claim_bytes)
    assert reserve + 2 * budget.limits.claim_bytes + budget.max_message_bytes <= budget.limit_bytes
    assert budget.live_credit(LaneUsage(), claim, backfilling=True) > 0
    # One that is almost full still gets its last message, with a full claim held before it.
    almost = LaneUsage(pending_bytes=budget.limits.claim_bytes - 1)
    assert budget.backfill_credit(LaneUsage(), almost) > 0


@given(budget=budgets, live=shares, backfill=shares)
def test_the_messages_of_a_fetch_never_exceed_the_budget(
    budget: Budget, live: float, backfill: float
) -> None:
    held = LaneUsage(held_bytes=int(live * budget.limit_bytes))
    filled = LaneUsage(held_bytes=int(backfill * budget.limit_bytes))
    for credit, backfilling in (
        (budget.live_credit(held, filled, backfilling=False), False),
        (budget.live_credit(held, filled, backfilling=True), True),
        (budget.backfill_credit(held, filled), True),
    ):
        fetched = credit * budget.max_message_bytes
        taken = held.all_bytes + filled.all_bytes
        reserve = budget.reserve_bytes(backfilling=backfilling)
        assert credit == 0 or taken + fetched + reserve <= budget.limit_bytes


@given(budget=budgets, backfill=shares)
def test_a_backfill_always_leaves_room_for_a_live_claim(budget: Budget, backfill: float) -> None:
    filled = LaneUsage(held_bytes=int(backfill * budget.limit_bytes))
    credit = budget.backfill_credit(LaneUsage(), filled)
    if credit:
        full = LaneUsage(held_bytes=filled.held_bytes + credit * budget.max_message_bytes)
        assert budget.live_credit(LaneUsage(), full, backfilling=True) > 0


def test_a_backfill_of_small_messages_holds_a_bounded_number_of_claims() -> None:
    budget = Budget.share(
        held_bytes=2**29, actors=2, max_message_bytes=2**23, limits=CutLimits(2**25, 2000, 0.5)
    )
    assert budget.backfill_credit(LaneUsage(), LaneUsage(claims=BACKFILL_CLAIMS - 1)) > 0
    assert budget.backfill_credit(LaneUsage(), LaneUsage(claims=BACKFILL_CLAIMS)) == 0
    assert budget.live_credit(LaneUsage(claims=100), LaneUsage(), backfilling=False) > 0
