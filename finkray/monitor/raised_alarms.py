"""The alarms that are raised, and those that were raised before: in the snapshot and the log."""

import logging
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from finkray.monitor.alarms import WHAT_TO_DO
from finkray.monitor.clock import Moment
from finkray.status.archive import Alarm, PastAlarm
from finkray.text import duration_text

KEPT: Final = 100
"""How many past alarms the snapshot has; the log has them all."""

log = logging.getLogger(__name__)


class RaisedAlarms:
    """Dates alarms, and logs once when each is raised and when it is over."""

    def __init__(self) -> None:
        self._raised: dict[str, Alarm] = {}
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
        now = datetime.fromtimestamp(at.wall_s, UTC)
        before = self._raised
        self._raised = {
            code: Alarm(
                code=code,
                since=before[code].since if code in before else now,
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
                lasted_s = (now - alarm.since).total_seconds()
                log.info("alarm %s is over, after %s", code, duration_text(lasted_s))
                past = PastAlarm(code=code, since=alarm.since, until=now, message=alarm.message)
                self._past.append(past)

    @property
    def current(self) -> tuple[Alarm, ...]:
        """The alarms that are raised, oldest first."""
        return tuple(sorted(self._raised.values(), key=lambda alarm: alarm.since))

    @property
    def past(self) -> tuple[PastAlarm, ...]:
        """The last alarms that are over, the latest first."""
        return tuple(reversed(self._past))
