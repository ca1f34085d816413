"""Measure how soon a visit that comes while a chain runs is in Parquet files."""

import threading
import time
from collections.abc import Callable

from bench.chains.chain_run import ChainRun
from bench.run import Chain, watch

QUIET_S = 3.0
"""Between them and the visit."""


class Visit:
    """Send the visit once the chain has archived what was there before.

    Parameters
    ----------
    before
        number of alerts before the visit
    send
        sends the visit; returns when Kafka has acknowledged it
    """

    def __init__(self, before: int, send: Callable[[], object]) -> None:
        self._before = before
        self._send = send
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._acked_unix_s = 0.0

    def look(self, alerts: int) -> None:
        """Take the progress of the chain; raises the error of the sending thread."""
        if self._error is not None:
            raise self._error
        if self._thread is None and alerts >= self._before:
            self._thread = threading.Thread(target=self._run, name="visit")
            self._thread.start()

    def acked_unix_s(self) -> float:
        """Return the time of Kafka's last acknowledgement; to be called after the archiving."""
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
    chain: Chain, chain_run: ChainRun, before: int, send: Callable[[], object], *, timeout_s: float
) -> float:
    """Return the seconds from Kafka's last acknowledgement of a visit until it is in Parquet.

    Parameters
    ----------
    chain_run
        of a topic that has alerts; its `alerts` include the visit's, and it `stays`
    before
        number of alerts before the visit
    send
        sends the visit to the topic, as fast as Kafka takes it

    Raises
    ------
    RuntimeError
        as of `bench.run.watch`
    """
    visit = Visit(before, send)
    seen = watch(chain, chain_run, timeout_s=timeout_s, look=visit.look)
    return seen.progress[-1].at_unix_s - visit.acked_unix_s()
