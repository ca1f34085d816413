"""Options and set-up that all benchmarks share."""

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.topics import LSST_ALERTS, ZTF_PACKETS

_LOG = logging.getLogger("bench")
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options for the test data, the working folder and the size of a chain."""
    parser.add_argument("--partitions", type=int, default=4, help="of each topic (%(default)s)")
    parser.add_argument(
        "--cores",
        type=int,
        default=os.cpu_count() or 1,
        help="processes or task slots of a chain (%(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("FINKRAY_TEST_DATA", _BESIDE)),
        metavar="FOLDER",
        help="the public test data (FINKRAY_TEST_DATA)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where to write (the temporary folder)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument("--keep", action="store_true", help="leave what was written")


def begin(data: Path, files: Sequence[Path] = (ZTF_PACKETS, LSST_ALERTS)) -> bool:
    """Set up logging and a clean end on SIGTERM, and check that the test data is there.

    Parameters
    ----------
    data
        the folder of the public test data
    files
        files of it that are needed

    Returns
    -------
    bool
        whether they are there; logs which are missing
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    # As Ctrl-C does: the blocks that started processes end them on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    missing = [file for file in files if not (data / file).is_file()]
    if missing:
        _LOG.error("There is no %s: set FINKRAY_TEST_DATA, or give --data", data / missing[0])
    return not missing


@contextmanager
def working_folder(name: str, place: Path | None, *, keep: bool = False) -> Iterator[Path]:
    """Make a folder for as long as a benchmark runs.

    Parameters
    ----------
    name
        of the benchmark
    place
        parent folder; None: the temporary folder
    keep
        leave the folder, and log its path
    """
    folder = Path(tempfile.mkdtemp(prefix=f"finkray-{name}-", dir=place))
    try:
        yield folder
    finally:
        if keep:
            _LOG.info("Everything is kept in %s", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
