"""Run the archive: `python -m finkray.archive --config conf/finkray.toml`.

Exit codes: see `finkray.host.exit_codes.DaemonExit`.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Final

from finkray.host.daemon import daemon_parser, run_daemon

MODULE: Final = "finkray.archive"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the archive under supervision; return the exit code."""
    return run_daemon(MODULE, _parser(), _run, name="archive", restarts=True, arguments=arguments)


def _parser() -> argparse.ArgumentParser:
    return daemon_parser(
        MODULE,
        "Archive alerts from Kafka as hourly Parquet, exactly once. Runs on the Ray cluster that "
        "is there; SIGINT or SIGTERM let it drain and leave.",
        epilog="example: ray job submit --working-dir . -- "
        "python -m finkray.archive --config conf/finkray.toml",
    )


def _run(options: argparse.Namespace) -> None:
    from finkray.driver.run import run_archive
    from finkray.settings.model import load

    logging.getLogger("py4j").setLevel(logging.WARNING)
    run_archive(load(options.config), options.exit_after)


if __name__ == "__main__":
    sys.exit(main())
