"""What the `main` of the simulator and of the page share: their words, their log, their end."""

import argparse
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from finkray.errors import FinkrayError, SettingsError
from finkray.host.signals import handle_signals
from finkray.settings.model import Settings, load

EXIT_FAILED, EXIT_SETTINGS = 1, 2

_LOG = logging.getLogger(__name__)


def service_main(
    module: str, description: str, run: Callable[[Settings, threading.Event], None]
) -> int:
    """Run a service until SIGINT or SIGTERM, or until `--exit-after`; returns the exit code.

    Parameters
    ----------
    module
        What stands after `python -m`.
    description
        What the service does, for `--help`.
    run
        Does the work; returns soon after the event is set.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument("--exit-after", type=float, metavar="S", help="leave after S seconds")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    stopping = threading.Event()
    handle_signals(stopping)
    if options.exit_after is not None:
        timer = threading.Timer(options.exit_after, stopping.set)
        timer.daemon = True
        timer.start()
    try:
        run(load(options.config), stopping)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    except FinkrayError:
        _LOG.exception("%s stops", module)
        return EXIT_FAILED
    return 0
