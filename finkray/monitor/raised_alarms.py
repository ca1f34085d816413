"""The alarms that are raised, and those that were raised before: in the snapshot and the log."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Final

from finkray.monitor.alarms import WHAT_TO_DO
from finkray.monitor.clock import Moment, dated_again, utc_of
from finkray.status.archive import Alarm, PastAlarm
from finkray.text import duration_text

KEPT: Final = 100
"""How many past alarms the snapshot has; the log has them all."""

log = logging.getLogger(__name__)


class RaisedAlarms:
    """Dates alarms, and logs once when each is raised and when it is over."""

    def __init__(self) -> None:
        self._raised: dict[str, Alarm] = {}
        self._since: dict[str, Moment] = {}
        self._past: deque[PastAlarm] = deque(maxlen=KEPT)

    def update(self, messages: Mapping[str, str], at: Moment) -> None:
        """Raise these alarms and clear all others; an alarm that is raised already keeps its time.

        Parameters
        ----------
        messages
            the message of each alarm, by its code (see `finkray.monitor.alarms`)
        at
            the time of the facts
        """
        before, since = self._raised, self._since
        self._since = {code: dated_again(since.get(code, at), at) for code in messages}
        self._raised = {
            code: Alarm(
                code=code,
                since=utc_of(self._since[code]),
                message=message,
                what_to_do=WHAT_TO_DO[code],
            )
            for code, message in messages.items()
        }
        for code, message in messages.items():
            if code not in before:
                log.warning("alarm %s raised: %s", code, message)
        for code, alarm in before.items():
            if code not in messages:
                lasted_s = at.monotonic_s - since[code].monotonic_s
                log.info("alarm %s is over, after %s", code, duration_text(lasted_s))
                began = utc_of(dated_again(since[code], at))
                self._past.append(
                    PastAlarm(code=code, since=began, until=utc_of(at), message=alarm.message)
                )

    @property
    def current(self) -> tuple[Alarm, ...]:
        """The alarms that are raised, oldest first."""
        return tuple(sorted(self._raised.values(), key=lambda alarm: alarm.since))

    @property
    def past(self) -> tuple[PastAlarm, ...]:
        """The last alarms that are over, the latest first."""
        return tuple(reversed(self._past))
