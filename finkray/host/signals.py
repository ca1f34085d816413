"""Set an event on SIGINT and SIGTERM, for a main loop to check."""

import logging
import signal
import threading
from queue import SimpleQueue
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


def handle_signals(stopping: threading.Event) -> None:
    """Make SIGINT and SIGTERM set the event, also if SIGINT was ignored before.

    Call it in the main thread, and again after `ray.init`, which installs handlers of its own. A
    thread sets the event: a handler runs between two instructions of the main thread, which may
    hold the lock that the event or the log needs. A simple queue needs no lock.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def set_event() -> None:
        while True:
            number = received.get()
            log.info("process received %s; stopping", signal.Signals(number).name)
            stopping.set()

    threading.Thread(target=set_event, name="signals", daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: received.put(number))
