import pytest

from bench.durable import Durable, results_after_s


def test_a_result_counts_from_the_commit_of_its_own_claim() -> None:
    alerts = [Durable(100.0, 0, 0, 1), Durable(101.0, 1, 0, 0)]
    results = [Durable(101.5, 1, 0, 0), Durable(100.25, 0, 0, 1), Durable(99.0, 0, 7, 9)]
    assert results_after_s(alerts, results).tolist() == [0.25, 0.25, 0.5]
    with pytest.raises(KeyError):
        results_after_s(alerts, results[1:])
