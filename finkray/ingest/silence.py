"""Decide when Kafka has been silent for too long. Pure: no Kafka, no clock.

A client without a connection does not always report it: it delivers no message, as a topic does to
which nothing is sent. So after `QUIET_S` a leader is queried, and what follows rests on its answer:

    messages ── QUIET_S ──> query a leader ── no answer ──> query again ── no answer ──> a trouble
       ^                         │                                             │
       └──────── answers ────────┘              a new client <── RENEW_CLIENT_S ──┘
"""

from typing import Final

from finkray.kafka.config import RENEW_CLIENT_S

QUIET_S: Final = 30.0
"""Time without a message after which a leader is queried."""


class Silence:
    """How long no broker sent or answered anything.

    Parameters
    ----------
    now_s
        time of a monotonic clock, as in all methods
    """

    def __init__(self, now_s: float) -> None:
        self._heard_at_s = now_s
        self._unanswered_since_s: float | None = None

    def heard(self, now_s: float) -> None:
        """Take note that a broker sent something, or answered."""
        self._heard_at_s, self._unanswered_since_s = now_s, None

    def is_quiet(self, now_s: float) -> bool:
        """Return whether to query a leader, because there was no message for long."""
        return now_s - self._heard_at_s >= QUIET_S

    def unanswered(self, now_s: float) -> bool:
        """Take note that a leader did not answer; return whether that is a trouble.

        The first query is none: it connects, which may take longer than the query waits.
        """
        if self._unanswered_since_s is None:
            self._unanswered_since_s = now_s
            return False
        return True

    def renews_client(self, now_s: float) -> bool:
        """Return whether to connect anew, which starts the time to the next renewal again."""
        since_s = self._unanswered_since_s
        if since_s is None or now_s - since_s < RENEW_CLIENT_S:
            return False
        self._unanswered_since_s = None
        return True
