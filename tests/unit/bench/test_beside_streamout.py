from dataclasses import replace

import pytest

from bench.beside_streamout import Measured, render

MEASURED = Measured(
    alerts=20_000,
    alone_per_s=(2000.0, 2000.0),
    beside_per_s=1700.0,
    alone_cpu_us={"archive": 400.0, "Kafka": 20.0},
    beside_cpu_us={"archive": 410.0, "Kafka": 60.0, "filters": 15.0},
    messages=31_234,
    p50_s=0.9,
    p95_s=1.94,
    p99_s=2.5,
    classed_p50_s=0.4,
    classed_p95_s=1.21,
)


def test_the_share_of_the_rate_and_the_latencies_are_printed() -> None:
    text = render(MEASURED)
    for figure in (
        "2,000 alerts/s alone, 1,700 beside streaming out, 2,000 alone again: 85%",
        "archive 400 and 410, Kafka 20 and 60, filters 0 and 15",
        "a class is durable after p50 0.40 s, p95 1.21 s",
        "31,234 messages: p50 0.90 s, p95 1.94 s",
    ):
        assert figure in text


def test_the_rate_alone_is_the_mean_of_the_bursts_before_and_after() -> None:
    assert MEASURED.share == pytest.approx(1700 / 2000)
    assert replace(MEASURED, alone_per_s=(1500.0, 3000.0)).share == pytest.approx(1700 / 2000)
