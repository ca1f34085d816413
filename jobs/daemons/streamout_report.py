"""Report the state of streaming out on a board in Ray, for `finkray status` and the metrics."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from finkray.errors import FinkrayError
from finkray.settings.model import Settings
from finkray.status.board import STREAMOUT_BOARD, start_board
from finkray.status.streamout import FilterStatus, GroupLag, StreamoutSnapshot
from finkray.text import error_text

if TYPE_CHECKING:
    from finkray.streamout.engine import Streamout

REPORT_S: Final = 2.0
"""Interval between two reports: each looks into the ledger once for each position of filters."""

GROUPS_S: Final = 30.0
"""Interval between two looks at consumer groups: each group costs Kafka a request."""

_OF_A_JOB: Final = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets this in the environment of a job. Without it there is no Ray to report to."""

log = logging.getLogger(__name__)


class Reporter:
    """Publishes snapshots.

    Parameters
    ----------
    settings
        With the Kafka of streaming out.
    board
        The Ray actor that keeps the last snapshot; None reports nothing.
    """

    def __init__(self, settings: Settings, board: Any = None) -> None:
        self._settings = settings
        self._board = board
        self._started_at = datetime.now(UTC)
        self._next_s = 0.0
        self._filters: tuple[FilterStatus, ...] = ()
        self._topics: frozenset[str] = frozenset()
        self._groups: tuple[GroupLag, ...] = ()
        self._stopping = threading.Event()
        if board is not None:
            threading.Thread(target=self._look_at_groups, daemon=True).start()

    def report(self, engine: "Streamout", problem: str) -> None:
        """Publish a snapshot, unless the last one is recent."""
        if self._board is None or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + REPORT_S
        try:
            self._filters = engine.statuses()
        except FinkrayError as error:  # the last figures, with what is wrong
            problem = problem or str(error)
        self._topics = frozenset(each.topic for each in self._filters)
        snapshot = StreamoutSnapshot(
            instance=self._settings.streamout.instance,
            started_at=self._started_at,
            at=datetime.now(UTC),
            filters=self._filters,
            groups=self._groups,
            problem=problem,
        )
        self._board.publish.remote(snapshot.model_dump_json())

    def close(self) -> None:
        """Look at consumer groups no more."""
        self._stopping.set()

    def _look_at_groups(self) -> None:
        """Look at consumer groups now and then, in a thread: Kafka may take its time."""
        from finkray.streamout.group_lag import group_lags

        problem = ""
        while not self._stopping.wait(GROUPS_S if self._topics else REPORT_S):
            try:
                self._groups = group_lags(self._settings.streamout_client_config(), self._topics)
                problem = ""
            except Exception as error:  # noqa: BLE001 - without the thread old figures would stay
                self._groups = ()
                before, problem = problem, error_text(error)
                if problem != before:  # once, not at each look
                    log.warning("the lag of consumer groups is not known: %s", problem)


@contextmanager
def reporting(settings: Settings) -> Iterator[Reporter]:
    """Yield a reporter; it reports nothing if this process is no job of Ray.

    Raises
    ------
    ClusterUnavailable
        Ray does not answer.
    """
    if _OF_A_JOB not in os.environ:
        yield Reporter(settings)
        return
    import ray

    from finkray.host.ray_connection import connect_to_ray

    connect_to_ray(settings.ray.address, settings.ray.namespace)
    board = start_board(STREAMOUT_BOARD)
    reporter = Reporter(settings, board)
    try:
        yield reporter
    finally:
        reporter.close()
        ray.kill(board)
        ray.shutdown()
