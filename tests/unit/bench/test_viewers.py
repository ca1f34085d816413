from bench.viewers import Measured, render


def test_each_rate_and_the_ratio_of_the_medians_are_printed() -> None:
    measured = Measured(
        alerts=40_000,
        viewers=50,
        without_per_s=(4000.0, 1000.0, 4100.0),
        with_per_s=(3900.0, 3950.0, 3000.0),
        without_share=0.02,
        with_share=0.061,
    )
    text = render(measured)
    for figure in ("4,000, 1,000, 4,100", "with 50: 3,900", "medians 97.5%", "0.061 with"):
        assert figure in text
