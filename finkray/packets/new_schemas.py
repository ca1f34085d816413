"""Limit how many new schemas a topic may bring.

Each new schema costs a parse of its text, a reader, and files of its own, however small its packets
are: a stream in which each packet has a schema of its own costs a thousand times what a survey's
costs. A survey changes its schema a few times in a year, and a replay of years has a dozen.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

HOUR_S: Final = 3600.0


@dataclass(slots=True)
class _Topic:
    """The schemas that a topic may bring now, since when, and the digests of those it brought."""

    allowance: float
    at_s: float
    admitted: set[bytes] = field(default_factory=set)


class NewSchemas:
    """Admits the schemas of each topic, up to a rate. Not thread-safe.

    Parameters
    ----------
    per_h
        how many new schemas a topic may bring at once, and then within an hour
    clock
        monotonic seconds
    """

    def __init__(self, per_h: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_h = per_h
        self._clock = clock
        self._topics: dict[str, _Topic] = {}

    def admits(self, topic: str, text: bytes) -> bool:
        """Return whether the topic may use the schema with this text; a known one, it always may.

        The schema counts by its text: another text of the same schema must be parsed too.
        """
        now_s = self._clock()
        known = self._topics.get(topic)
        if known is None:
            known = self._topics[topic] = _Topic(float(self._per_h), now_s)
        digest = hashlib.sha256(text).digest()
        if digest in known.admitted:
            return True
        gained = (now_s - known.at_s) * self._per_h / HOUR_S
        known.allowance, known.at_s = min(self._per_h, known.allowance + gained), now_s
        if known.allowance < 1:
            return False
        known.allowance -= 1
        known.admitted.add(digest)
        return True
