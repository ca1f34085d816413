import pytest

from bench.viewers import Burst, Measured, render


def bursts(*per_s: float, cpu_s: float, page: float) -> tuple[Burst, ...]:
    return tuple(Burst(each, cpu_s, page, 0.05, 67.6) for each in per_s)


# In the order of time: 4000 without, 3900 with; 1950 with, 2000 without; 2200 without, 2178 with.
MEASURED = Measured(
    alerts=20_000,
    viewers=50,
    without=bursts(4000.0, 2000.0, 2200.0, cpu_s=0.4, page=0.02),
    watched=bursts(3900.0, 1950.0, 2178.0, cpu_s=0.41, page=0.061),
)


def test_bursts_are_compared_with_their_neighbours_while_the_machine_drifts() -> None:
    assert MEASURED.rate_ratios == pytest.approx((0.975, 0.975, 0.99))
    assert MEASURED.rate_ratio == pytest.approx(0.975)
    assert MEASURED.cpu_ratio == pytest.approx(1.025)
    assert MEASURED.page_ratio == pytest.approx((0.061 - 0.02) / 0.4)


def test_bursts_of_one_sort_in_a_row_tell_what_the_rate_can_tell() -> None:
    # With viewers from 3900 to 1950, without from 2000 to 2200.
    assert MEASURED.alike_differ == pytest.approx((0.5 + 0.1) / 2)


def test_each_rate_and_the_ratios_of_the_pairs_are_printed() -> None:
    text = render(MEASURED)
    for figure in (
        "4,000, 2,000, 2,200; with 50: 3,900",
        "97.5%, 97.5%, 99.0%; median 97.5%",
        "differ by 30.0%",
        "0.400 without viewers, 0.410 with; median of the pairs 102.5%",
        "0.020 without viewers, 0.061 with; median of the pairs 10.2% of the archive's",
        "asked 70 times/s, got 68 answers/s, and took 0.050 CPU s",
    ):
        assert figure in text
