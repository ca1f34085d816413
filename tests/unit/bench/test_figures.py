import pytest

from bench.figures import Figures, Progress, median, spread, work_out
from bench.meter import Sample

# Starts at 100 s, first alerts after 20 s, then 1 000 alerts each second.
STEPS = [Progress(120.0 + step, 1000 + 1000 * step) for step in range(10)]
# One CPU second each second from the start.
SAMPLES = [Sample(at, at - 100.0, int(at)) for at in (100.0, 115.0, 125.0, 135.0)]


def figures(steps: list[Progress], warm_after: int = 4000) -> Figures:
    return work_out(
        steps,
        SAMPLES,
        launched_unix_s=100.0,
        warm_after=warm_after,
        message_bytes=66_000,
        disk_bytes=10**8,
    )


def test_the_warm_rate_excludes_the_start_and_the_overall_rate_includes_it() -> None:
    found = figures(STEPS)
    assert found.alerts == 10_000
    assert found.first_s == 20
    assert found.warm_per_s == pytest.approx(1000)
    assert found.warm_bytes_per_s == pytest.approx(66e6)
    assert found.overall_per_s == pytest.approx(10_000 / 29)
    assert found.peak_rss_bytes == 135
    assert found.disk_bytes_per_alert == 10_000


def test_cpu_seconds_are_those_of_the_same_alerts() -> None:
    # From 4 000 alerts (123 s) to 10 000 (129 s): six CPU seconds for 6 000 alerts.
    assert figures(STEPS).cpu_s_per_1000 == pytest.approx(1.0)


def test_a_warm_up_between_two_steps_ends_with_the_later() -> None:
    assert figures(STEPS, warm_after=3500) == figures(STEPS, warm_after=4000)


def test_a_chain_that_ends_within_one_step_has_no_warm_rate() -> None:
    found = figures([Progress(120.0, 10_000)])
    assert found.warm_per_s is found.warm_bytes_per_s is found.cpu_s_per_1000 is None
    assert found.overall_per_s == 500


def test_the_median_is_a_measured_round_and_the_spread_is_of_all_rounds() -> None:
    rounds = [
        figures([Progress(120.0, 4000), Progress(120.0 + took_s, 10_000)])
        for took_s in (3.0, 6.0, 2.0)
    ]
    assert median(rounds) is rounds[0]
    assert spread(rounds) == (1000, 3000)
    assert median(rounds[:2]) is rounds[1]
