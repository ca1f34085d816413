from bench.figures import Figures
from bench.run import CHAINS
from bench.table import render


def rate(warm_per_s: float | None) -> list[Figures]:
    return [Figures(10_000, 20.0, 500.0, warm_per_s, 198e6, 0.456, 2_500_000_000, 41_230.0)]


def test_each_chain_has_a_row_and_the_ratio_is_ours_over_theirs() -> None:
    rounds = {"finkray": rate(3000), "fink-2019": rate(1500), "bare-loop": rate(None)}
    _header, _rule, *lines = render(CHAINS, rounds, {"finkray": 1.24}).splitlines()
    by_name = {line.split()[0]: line.split() for line in lines}
    assert by_name["finkray"][1:5] == ["3000", "(3000-3000)", "1.00", "x"]
    assert by_name["fink-2019"][3:5] == ["2.00", "x"]
    assert by_name["fink-2019"][5:] == ["198", "500", "20.0", "0.46", "2500", "41.2", "-"]
    assert by_name["finkray"][-1] == "1.2"
    assert by_name["bare-loop"][1:4] == ["-", "-", "-"]
    assert set(by_name["fink-production"][1:]) == {"-"}
