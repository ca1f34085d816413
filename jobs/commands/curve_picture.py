"""`finkray lightcurve --plot`: draw a light curve into a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from finkray.curves.choice import BANDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: Final = {
    "u": ("#56B4E9", "v"),
    "g": ("#009E73", "o"),
    "r": ("#D55E00", "s"),
    "i": ("#E69F00", "D"),
    "z": ("#CC79A7", "^"),
    "y": ("#0072B2", "P"),
}
"""Colour and marker of each band. The colours can be told apart with any colour vision (Okabe and
Ito 2008, "Color Universal Design")."""

Axis = Literal["apparent_mag", "flux_njy"]


def axis_of(points: pa.Table) -> Axis:
    """Return what to draw: apparent magnitudes, if most detections have one, or else fluxes."""
    detections = points.filter(pc.equal(points["kind"], "detection"))
    known = detections.num_rows - detections["apparent_mag"].null_count
    return "apparent_mag" if known > detections.num_rows / 2 else "flux_njy"


def draw_curve(points: pa.Table, title: str, file: Path, *, dpi: int = 150) -> int:
    """Draw a light curve; return how many of its points are in the picture.

    Points with an absurd time and second extractions of one image are left out, and points that
    have no value on the axis.

    Parameters
    ----------
    points
        columns of `finkray.curves.schema.POINT`
    title
        above the picture
    file
        its ending names the format: .png, .pdf or .svg
    dpi
        pixels an inch of a .png; the picture is 9 inches wide

    Raises
    ------
    ValueError
        if the ending names no format that can be written
    OSError
        if the file cannot be written
    """
    from matplotlib.figure import Figure

    axis = axis_of(points)
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    drawn = sum(_draw_band(axes, points, band, axis) for band in BANDS)
    axes.set_title(title)
    axes.set_xlabel("MJD (TAI)")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(alpha=0.3)
    if axis == "apparent_mag":
        axes.set_ylabel("apparent magnitude (AB); ▽ 5 sigma limit of the difference")
        axes.invert_yaxis()
    else:
        axes.set_ylabel("flux of the difference (nJy); ▽ 5 sigma limit")
        axes.axhline(0, color="grey", linewidth=0.8)
    if drawn:
        # Beside the axes: the best place among thousands of points takes matplotlib seconds.
        figure.legend(loc="outside right upper")
    figure.savefig(file, dpi=dpi)
    return drawn


def _draw_band(axes: "Axes", points: pa.Table, band: str, axis: Axis) -> int:
    wanted = pc.and_(
        pc.equal(points["band"], band),
        pc.and_not(pc.invert(points["time_absurd"]), pc.fill_null(points["double"], False)),  # noqa: FBT003 - pyarrow's
    )
    chosen = points.filter(pc.fill_null(wanted, False))  # noqa: FBT003 - pyarrow's
    colour, marker = STYLES[band]
    error = "apparent_mag_err" if axis == "apparent_mag" else "flux_err_njy"
    drawn = 0
    for kind, filled in (("detection", True), ("forced", False)):
        rows = chosen.filter(pc.and_(pc.equal(chosen["kind"], kind), pc.is_valid(chosen[axis])))
        if rows.num_rows:
            axes.errorbar(
                rows["mjd_tai"].to_numpy(),
                rows[axis].to_numpy(),
                yerr=pc.fill_null(rows[error], 0.0).to_numpy(),
                fmt=marker,
                color=colour,
                markerfacecolor=colour if filled else "none",
                markersize=5 if filled else 3,
                elinewidth=0.8,
                label=f"{band}, {kind}",
            )
            drawn += rows.num_rows
    limits = chosen.filter(
        pc.and_(pc.equal(chosen["kind"], "limit"), pc.is_valid(chosen["limit_mag"]))
    )
    if limits.num_rows:
        at = limits["limit_mag"].to_numpy()
        axes.plot(
            limits["mjd_tai"].to_numpy(),
            at if axis == "apparent_mag" else 10 ** (0.4 * (31.4 - at)),
            linestyle="none",
            marker="v",
            color=colour,
            markerfacecolor="none",
            markersize=5,
            alpha=0.5,
            label=f"{band}, limit",
        )
        drawn += limits.num_rows
    return drawn
