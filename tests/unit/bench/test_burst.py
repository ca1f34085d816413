from bench.burst import Burst, render


def test_each_visit_has_a_row_with_its_figures() -> None:
    visits = [Burst("containers", 10_000, 1.2, 3.4, 4_000_000_000, 20.0)]
    _header, row = render(visits).splitlines()
    assert row.split() == ["containers", "10000", "1.2", "3.4", "4000", "20.0"]
