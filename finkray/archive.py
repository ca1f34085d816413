"""The archive service: `python -m finkray.archive --config conf/finkray.toml`.

Exit codes: 0 it was stopped and has drained, 1 it failed, 2 the settings are wrong,
3 another archive is alive on the folder.
"""

import argparse
import logging
import sys
from pathlib import Path

import finkray
from finkray.host.supervise import supervised


def main(arguments: list[str] | None = None) -> int:
    """Run the archive under supervision; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    return supervised(
        [sys.executable, "-m", "finkray.archive", "--unsupervised", *words],
        lambda: _run(options),
        logging.getLogger("finkray.archive"),
        unsupervised=options.unsupervised,
    )


def _run(options: argparse.Namespace) -> None:
    # The supervisor needs none of it: a start is half a second shorter.
    from finkray.driver.run import run_archive
    from finkray.settings.model import load

    run_archive(load(options.config), options.exit_after)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m finkray.archive",
        description="Archive alerts from Kafka as hourly Parquet, exactly once. Runs on the Ray "
        "cluster that is there; SIGINT or SIGTERM let it drain and leave.",
        epilog="example: ray job submit --working-dir . -- "
        "python -m finkray.archive --config conf/finkray.toml",
    )
    parser.add_argument("--version", action="version", version=finkray.__version__)
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument(
        "--exit-after", type=float, metavar="S", help="drain and leave after S seconds"
    )
    parser.add_argument("--unsupervised", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
