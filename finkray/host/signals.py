"""SIGINT and SIGTERM as an event that a main loop looks at."""

import logging
import signal
import threading
from queue import SimpleQueue
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


def handle_signals(stopping: threading.Event) -> None:
    """Let SIGINT and SIGTERM set the event, also where SIGINT was ignored at the start.

    To be called in the main thread, and once more after `ray.init`, which installs handlers of
    its own. A thread sets the event: a handler runs between two instructions of the main thread,
    which may hold the very lock that the event or the log needs. A simple queue needs none.
    """
    heard: SimpleQueue[int] = SimpleQueue()

    def tell() -> None:
        while True:
            number = heard.get()
            log.info("asked to stop by %s", signal.Signals(number).name)
            stopping.set()

    threading.Thread(target=tell, name="signals", daemon=True).start()
    for number in SIGNALS:
        signal.signal(number, lambda number, _frame: heard.put(number))
