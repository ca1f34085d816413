"""Draw the light curve of docs/lightcurves.md: `python -m jobs.commands.public_curve`.

It is that of the tidal disruption event ZTF20abfcszi, from 21 public alerts of ZTF, which are not
committed; the picture is. A test makes the curve again and compares what the page says of it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.curves.raw import raw_points
from finkray.curves.rules import united
from jobs.commands.curve_picture import draw_curve

PICTURE: Final = Path(__file__).parents[2] / "docs" / "ZTF20abfcszi.png"
ALERTS: Final = Path("ztf/ztf_20200802-0831_fink-filters_ZTF20abfcszi_21.parquet")
"""The alerts, in the folder of public test data."""

_DPI: Final = 72
"""30 kB, legible at the width of a page."""


def public_curve(data: Path) -> tuple[pa.Table, int]:
    """Return the light curve, and how many points the packets have together.

    Raises
    ------
    FileNotFoundError
        if the folder does not have the alerts
    """
    raw = raw_points(pq.read_table(data / ALERTS), "ztf")
    return united(raw), raw.height


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the picture; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.commands.public_curve", description=__doc__
    )
    parser.add_argument("data", type=Path, metavar="FOLDER", help="with the public test data")
    curve, raw = public_curve(parser.parse_args(arguments).data)
    drawn = draw_curve(curve, "ZTF20abfcszi", PICTURE, dpi=_DPI)
    sys.stdout.write(f"{PICTURE.name} shows {drawn} of {curve.num_rows} points, from {raw}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
