"""The plots of the benchmark are images that show what they were given."""

from pathlib import Path

import numpy as np
from matplotlib.image import imread

from bench.outliers.plots import plot_calibration, plot_scores


def test_scores_and_calibration_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scores, event = rng.normal(size=500), rng.normal(3, 0.3, 20)
    plot_scores(scores, event, tmp_path / "with.png")
    plot_scores(scores, scores[:1], tmp_path / "without.png")
    plot_calibration({"a night": rng.random(300), "another": rng.random(80)}, tmp_path / "p.png")
    images = [imread(tmp_path / f"{name}.png") for name in ("with", "without", "p")]
    assert all(image.shape[0] > 300 and image.std() > 0.05 for image in images)
    assert images[0].shape == images[1].shape
    assert not np.array_equal(images[0], images[1])
