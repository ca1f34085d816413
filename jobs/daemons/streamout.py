"""Send alerts that pass filters to Kafka: `python -m jobs.daemons.streamout --config FILE`.

Exit codes: see `finkray.host.exit_codes.DaemonExit`.
"""

import argparse
import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finkray.errors import FinkrayError
from finkray.host.daemon import daemon_parser, run_daemon, stop_event
from finkray.kafka.producer import refuse_wrong_producer_options
from finkray.settings.model import Settings, load
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder
from jobs.daemons.last_look import check_archive, has_looked, record_look
from jobs.daemons.streamout_report import Reporter, reporting

if TYPE_CHECKING:
    from finkray.streamout.engine import Streamout

POLL_S: Final = 0.2
"""Pause after a look that found nothing: a look costs two listings of small folders."""

WAITING_POLL_S: Final = 0.1
"""The same while a file waits for results of a service: they come within a second or two, and the
file has waited long enough. A look takes 2 ms of CPU."""

RETRY_S: Final = 1.0

log = logging.getLogger("jobs.daemons.streamout")


def run(settings: Settings, options: argparse.Namespace) -> None:
    """Send until SIGINT or SIGTERM, or until `exit_after` has passed.

    Raises
    ------
    SettingsError
        There is no archive.
    ProducerFenced
        A newer process has the name of this instance.
    FinkrayError
        A retriable one if a fresh process may succeed.
    """
    # Its libraries take a second to load, and every command imports this module.
    from finkray.streamout.engine import Streamout

    archive = archive_of(settings)
    state = state_folder()
    with reporting(settings) as reporter:
        stopping = stop_event(options.exit_after)  # after Ray, which installs handlers of its own
        engine = Streamout(archive, settings.streamout_client_config(), settings.streamout)
        try:
            _send(engine, reporter, state, stopping)
        finally:
            engine.close()
    log.info("streaming out has stopped")


def _send(engine: "Streamout", reporter: Reporter, state: Path, stopping: threading.Event) -> None:
    """Send until `stopping` is set; report now and then."""
    problem = ""
    while not stopping.is_set():
        before = problem
        try:
            if engine.step():
                pause_s = 0.0
            elif engine.waits:
                pause_s = WAITING_POLL_S
            else:
                pause_s = POLL_S
            problem = "; ".join(engine.unreadable.values())
            if problem not in ("", before):  # once, not at each step
                log.warning("filters that cannot be read do not run, the others do: %s", problem)
        except FinkrayError as error:
            if not error.retriable:
                raise
            problem = str(error)
            if problem != before:  # once, not at each step
                log.warning("streaming out pauses, will retry: %s", error)
            pause_s = RETRY_S
        record_look(state, STREAMOUT.name)
        reporter.report(engine, problem)
        stopping.wait(pause_s)


def _ready_text(_job: Job, settings: Settings, _state: object) -> str:
    return (
        f"streamout: running, sends what passes the filters of {settings.archive.uri}; "
        "finkray filter list"
    )


def _check_start(settings: Settings) -> None:
    check_archive(settings)
    own = settings.streamout
    options = {} if own.bootstrap_servers else {"kafka.options": settings.kafka.options}
    options["streamout.options"] = own.options
    named = " or ".join(name for name in options if options[name]) or "kafka.options"
    refuse_wrong_producer_options(settings.streamout_client_config(), named)


STREAMOUT: Final = Daemon(
    name="streamout",
    module="jobs.daemons.streamout",
    about="sends alerts that pass filters to Kafka topics",
    is_ready=has_looked,
    ready_text=_ready_text,
    check_start=_check_start,
)


def main() -> int:
    """Send under supervision; return the exit code."""
    return run_daemon(
        STREAMOUT.module,
        daemon_parser(STREAMOUT.module, "Send alerts that pass filters to Kafka topics."),
        lambda options: run(load(options.config), options),
        name=STREAMOUT.name,
        restarts=True,
    )


if __name__ == "__main__":
    sys.exit(main())
