"""The `main` of every daemon: options, log, supervision, exit code.

A daemon is a process that runs until it is stopped: the archive, a service, the page. One that
takes over from the ledger, as archive and services do, runs under a supervisor (`restarts`), which
starts a fresh process after a failure that may pass.
"""

import argparse
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import finkray
from finkray.errors import ArchiveHeld, FinkrayError, SettingsError
from finkray.host.exit_codes import DaemonExit
from finkray.host.signals import handle_signals
from finkray.host.supervise import supervise

EXIT_S: Final = 20.0
"""How long the end of a process may take once its work is done or has failed."""


def daemon_parser(
    module: str, description: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    """Return a parser with the options of every daemon; add those of one to it.

    Parameters
    ----------
    module
        name of the module, as after `python -m`
    description
        what the daemon does, for `--help`
    epilog
        the end of `--help`
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, epilog=epilog
    )
    parser.add_argument("--version", action="version", version=finkray.__version__)
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument(
        "--exit-after", type=float, metavar="S", help="drain and leave after S seconds"
    )
    parser.add_argument("--unsupervised", action="store_true", help=argparse.SUPPRESS)
    return parser


def run_daemon(
    module: str,
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], None],
    *,
    name: str,
    restarts: bool = False,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a daemon to its end; return the exit code, a `DaemonExit`.

    Parameters
    ----------
    module
        name of the module, as after `python -m`
    parser
        as `daemon_parser` makes it
    work
        does the work with the options of the command line; returns once it was stopped and has
        drained. Import what is heavy in there: the supervisor needs none of it, and a start is
        half a second shorter
    name
        of the daemon, for log lines
    restarts
        whether to run under a supervisor
    arguments
        replace the arguments of this process
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if restarts and not options.unsupervised:
        return supervise([sys.executable, "-m", module, "--unsupervised", *argv], name)
    code = _exit_code_of(lambda: work(options), name, logging.getLogger(module), restarts=restarts)
    # What runs at the end of a process may wait for what hangs: RayDP for a Spark that starts.
    last_resort = threading.Timer(EXIT_S, os._exit, [code])
    last_resort.daemon = True
    last_resort.start()
    return code


def stop_event(exit_after_s: float | None) -> threading.Event:
    """Return an event that is set by SIGINT, by SIGTERM, or when `exit_after_s` have passed."""
    stopping = threading.Event()
    handle_signals(stopping)
    if exit_after_s is not None:
        timer = threading.Timer(exit_after_s, stopping.set)
        timer.daemon = True
        timer.start()
    return stopping


def _exit_code_of(
    work: Callable[[], None], name: str, log: logging.Logger, *, restarts: bool
) -> DaemonExit:
    """Do the work, and log how it ended."""
    try:
        work()
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is enough
        return DaemonExit.SETTINGS
    except ArchiveHeld as error:
        log.error("%s", error)  # noqa: TRY400 - the same
        return DaemonExit.HELD
    except FinkrayError as error:
        log.exception("%s stopped", name)
        return DaemonExit.RESTART if restarts and error.retriable else DaemonExit.FAILED
    except Exception:
        log.exception("%s stopped: unexpected error", name)
        # An unexpected error may pass: a night must not end with it.
        return DaemonExit.RESTART if restarts else DaemonExit.FAILED
    return DaemonExit.DRAINED
