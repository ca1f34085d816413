"""Plots of a night: the distribution of its scores, and the calibration of its p-values."""

from pathlib import Path

import numpy as np

from bench.outliers.figures import Floats


def plot_scores(scores: Floats, event: Floats, file: Path) -> None:
    """Write the distribution of a night's scores, and those of an event, as a PNG image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    edges = np.histogram_bin_edges(np.concatenate([scores, event]), bins=40).tolist()
    axes.hist(scores, edges, label="alerts of the night", color="tab:blue", log=True)
    axes.hist(event, edges, label="tidal disruption event", color="tab:red", alpha=0.7)
    axes.set(xlabel="score", ylabel="alerts")
    axes.legend()
    figure.savefig(file, dpi=120)


def plot_calibration(p_values: dict[str, Floats], file: Path) -> None:
    """Write the share of alerts with at most each p-value, by name of a night, as a PNG image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([1e-3, 1], [1e-3, 1], color="black", linewidth=0.8, label="as it should be")
    for name, values in p_values.items():
        ordered = np.sort(values)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, share, where="post", label=name)
    axes.set(xlabel="p", ylabel="share of alerts", xscale="log", yscale="log")
    axes.set(xlim=(1e-3, 1), ylim=(1e-3, 1))
    axes.legend()
    figure.savefig(file, dpi=120)
