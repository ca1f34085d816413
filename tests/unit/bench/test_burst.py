from bench.burst import Burst, render


def test_each_visit_has_a_line() -> None:
    visits = [Burst("containers", 10_000, 1.2, 3.4, 4_000_000_000, 20.0)]
    header, line = render(visits).splitlines()
    assert len(header) == len(line)
    assert line.split() == ["containers", "10000", "1.2", "3.4", "4000", "20.0"]
