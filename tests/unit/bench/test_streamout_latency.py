import pytest

from bench.durable import Durable
from bench.streamout_latency import Received, latencies_s, render, work_out

STREAM = [Durable(100.0, 0, 0, 4), Durable(100.0, 1, 0, 4), Durable(102.0, 0, 5, 24)]
VISIT = [Durable(200.0, 0, 25, 99), Durable(200.0, 1, 5, 79)]


def received(*sources: tuple[float, int, int]) -> list[Received]:
    return [Received(at, "bright", partition, offset) for at, partition, offset in sources]


def test_a_latency_counts_from_the_commit_of_the_alerts_own_claim() -> None:
    found = latencies_s(received((100.25, 0, 4), (100.5, 1, 4), (102.75, 0, 5)), STREAM)
    assert found.tolist() == [0.25, 0.5, 0.75]


def test_messages_of_other_claims_do_not_count() -> None:
    assert not latencies_s(received((201.0, 0, 25), (201.0, 1, 5)), STREAM).size


def test_a_message_that_comes_twice_is_refused_and_one_of_another_filter_is_not() -> None:
    twice = received((100.25, 0, 4), (100.5, 0, 4))
    with pytest.raises(ValueError, match=r"1 messages were received twice, as \('bright', 0, 4\)"):
        latencies_s(twice, STREAM)
    other = twice[1]._replace(filter="faint")
    assert latencies_s([twice[0], other], STREAM).tolist() == [0.25, 0.5]


def test_stream_and_visit_are_worked_out_apart() -> None:
    messages = received((100.5, 0, 0), (102.5, 0, 5), (102.5, 0, 6), (201.0, 0, 25), (202.5, 1, 5))
    found = work_out(messages, STREAM, VISIT)
    assert (found.p50_s, found.p95_s, found.p99_s) == (0.5, 0.5, 0.5)
    assert (found.rate_per_s, found.alerts, found.messages) == (10.0, 30, 3)
    assert (found.visit_alerts, found.visit_messages, found.visit_last_s) == (150, 2, 2.5)
    assert "10 alerts/s, 3 messages of 30 alerts: p50 0.50 s" in render(found)
    assert "a visit of 150 alerts, 2 messages: the last after 2.50 s" in render(found)
