from bench.outliers.latency import Measured, render


def test_the_latencies_of_both_services_are_printed() -> None:
    after_s = {"classify": (0.5, 1.25, 1.5), "outliers": (0.75, 1.875, 2.0)}
    text = render(Measured(rate_per_s=270.0, alerts=16_200, after_s=after_s))
    assert "16,200 alerts, 270 a second" in text
    assert "results of classify are durable after p50 0.50 s, p95 1.25 s, p99 1.50 s" in text
    assert "results of outliers are durable after p50 0.75 s, p95 1.88 s, p99 2.00 s" in text
