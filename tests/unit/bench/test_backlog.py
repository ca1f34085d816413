import numpy as np
import pytest

from bench.backlog import Durable, Outcome, render, work_out


def live(at_s: float, *ages_s: float) -> Durable:
    return Durable(at_s, old=False, kafka_unix_s=at_s - np.array(ages_s))


def old(at_s: float, alerts: int) -> Durable:
    return Durable(at_s, old=True, kafka_unix_s=np.zeros(alerts))


def test_alerts_before_the_chain_was_warm_do_not_count() -> None:
    found = work_out([live(100.0, 50.0, 40.0), live(111.0, 1.0, 20.0), live(112.0, 2.0)], warm_s=10)
    assert found == Outcome(1.5, pytest.approx(1.95), pytest.approx(1.99), 2, None)


def test_the_live_stream_is_judged_while_the_backlog_lasts() -> None:
    claims = [old(100.0, 9), live(112.0, 1.0), old(115.0, 600), old(120.0, 400), live(140.0, 9.0)]
    found = work_out(claims, warm_s=10)
    assert (found.p95_s, found.live_alerts, found.backlog_per_s) == (1.0, 1, 100.0)


def test_a_backlog_that_ended_too_soon_is_refused() -> None:
    with pytest.raises(ValueError, match="more old alerts"):
        work_out([old(100.0, 9), live(105.0, 1.0)], warm_s=10)


def test_the_latency_beside_the_backlog_is_compared_with_the_one_alone() -> None:
    text = render(Outcome(0.5, 1.0, 2.0, 9, None), Outcome(0.7, 1.6, 3.0, 8, 900.0), rate=300.0)
    assert "1.60 x" in text  # of p95 alone
    assert "3.0 x" in text  # of the live rate
