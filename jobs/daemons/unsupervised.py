"""The `main` of daemons without a supervisor and without options of their own."""

import threading
from collections.abc import Callable

from finkray.host.daemon import daemon_parser, run_daemon, stop_event
from finkray.settings.model import Settings, load
from jobs.cluster.job import Daemon


def run_unsupervised(
    daemon: Daemon, description: str, run: Callable[[Settings, threading.Event], None]
) -> int:
    """Run a daemon to its end; return the exit code.

    Parameters
    ----------
    daemon
        The daemon.
    description
        What it does, for `--help`.
    run
        Does the work until the event is set.
    """
    return run_daemon(
        daemon.module,
        daemon_parser(daemon.module, description),
        lambda options: run(load(options.config), stop_event(options.exit_after)),
        name=daemon.name,
    )
