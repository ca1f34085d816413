from bench.beside import Measured, render


def test_the_ratio_and_the_latencies_are_printed() -> None:
    measured = Measured(
        alerts=40_000,
        alone_per_s=4000.0,
        beside_per_s=3000.0,
        ratio=0.75,
        results_after_s={"classify": 2.5, "crossmatch": 3.25},
        rate_per_s=270.0,
        latency_s=(1.0, 2.04, 3.0),
        night_per_s=3600.0,
    )
    text = render(measured)
    latencies = ("1.0 s (p50)", "2.0 s (p95)")
    for figure in ("75%", "3,600 alerts/s, 90%", "classify 2.5 s", "crossmatch 3.2 s", *latencies):
        assert figure in text
