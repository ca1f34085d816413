from bench.beside_streamout import Measured, render


def test_the_share_of_the_rate_and_the_latencies_are_printed() -> None:
    measured = Measured(
        alerts=20_000,
        alone_per_s=2000.0,
        beside_per_s=1700.0,
        messages=31_234,
        p50_s=0.9,
        p95_s=1.94,
        p99_s=2.5,
    )
    text = render(measured)
    for figure in ("2,000 alerts/s alone", "1,700 beside", "85%", "31,234 messages", "p95 1.94 s"):
        assert figure in text
