"""How soon all of a visit is in Parquet files that comes while a chain runs."""

import threading
import time
from collections.abc import Callable

from bench.chains.job import Job
from bench.run import Chain, watch

QUIET_S = 3.0
"""Between them and the visit."""


class Visit:
    """Sends the visit once the chain has done with what was there before.

    Parameters
    ----------
    before
        how many alerts there were before
    send
        puts all of it into Kafka; returns when Kafka has acknowledged it
    """

    def __init__(self, before: int, send: Callable[[], object]) -> None:
        self._before = before
        self._send = send
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._acked_unix_s = 0.0

    def look(self, alerts: int) -> None:
        """See how far the chain is; raises what went wrong with sending."""
        if self._error is not None:
            raise self._error
        if self._thread is None and alerts >= self._before:
            self._thread = threading.Thread(target=self._run, name="visit")
            self._thread.start()

    def acked_unix_s(self) -> float:
        """When Kafka had acknowledged all of it, after the chain has archived all of it."""
        if self._thread is None:
            raise RuntimeError(f"there were no {self._before} alerts before the visit")
        self._thread.join()
        return self._acked_unix_s

    def _run(self) -> None:
        time.sleep(QUIET_S)
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - raised by the next look
            self._error = error
        self._acked_unix_s = time.time()


def measure_visit(
    chain: Chain, job: Job, before: int, send: Callable[[], object], *, timeout_s: float
) -> float:
    """Seconds from Kafka's last acknowledgement of a visit until all of it is in Parquet files.

    Parameters
    ----------
    job
        of a topic with alerts already; its `alerts` are these and the visit's, and it `stays`
    before
        how many there are
    send
        puts the visit into the topic, as fast as Kafka takes it

    Raises
    ------
    RuntimeError
        as of `bench.run.watch`
    """
    visit = Visit(before, send)
    seen = watch(chain, job, timeout_s=timeout_s, look=visit.look)
    return seen.progress[-1].at_unix_s - visit.acked_unix_s()
