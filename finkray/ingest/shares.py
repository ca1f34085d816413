"""Decide which topics have to wait, so that none takes the room of the others. Pure.

A topic may use twice the room that is left (a *dynamic threshold*, as switches share the memory of
their ports). So one topic that floods gets two thirds of the room, two get two fifths each, and
there is always room for a topic that has nothing.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Final

SHARE: Final = 2
"""What a topic may use, as a multiple of the room that is left."""

SURE: Final = 0.25
"""The part of the room that is divided evenly: with no more than that, a topic never waits."""

CREDIT_PARTS: Final = 4
"""With several topics a poll may take one in this many parts of the room that is left, so that a
topic whose messages are as large as allowed does not take all of it before it is held back."""

RESUME: Final = 0.25
"""A topic that is held back is read again when it uses this part of its share. Kafka's client
discards what it fetched of a topic that is held back, so the change must be rare."""


HELD_BACK_AGAIN_S: Final = 10.0
"""A topic that was read for less than this between two waits was held back all the time."""

log = logging.getLogger(__name__)


def waiting_topics(
    used_bytes: Mapping[str, int], room_bytes: int, waiting: Collection[str]
) -> set[str]:
    """Return the topics that are not to be read further for now.

    Parameters
    ----------
    used_bytes
        for each topic that is read, what of it is in memory
    room_bytes
        what all of them may use together
    waiting
        the topics that wait at present
    """
    if len(used_bytes) < 2:
        return set()
    left_bytes = max(0, room_bytes - sum(used_bytes.values()))
    sure_bytes = SURE * room_bytes / len(used_bytes)
    return {
        topic
        for topic, used in used_bytes.items()
        if used > max(sure_bytes, SHARE * left_bytes * (RESUME if topic in waiting else 1))
    }


def poll_credit(credit: int, topics: int) -> int:
    """Return how many messages a poll may take, of as many as there is room for."""
    return credit if topics < 2 or credit == 0 else max(1, credit // CREDIT_PARTS)


def may_decode(held_bytes: int, all_held_bytes: int, room_bytes: int, topics: int) -> bool:
    """Return whether another claim of a topic may be decoded, which then is held.

    Parameters
    ----------
    held_bytes
        bytes of the topic that are held; a topic without any may always decode
    all_held_bytes
        bytes of all topics that are held
    room_bytes
        bytes that all topics may use together
    topics
        how many topics share the room; one alone may use all of it
    """
    left_bytes = room_bytes - all_held_bytes
    return held_bytes == 0 or (held_bytes <= SHARE * left_bytes if topics > 1 else left_bytes >= 0)


class HeldBackTopics:
    """The topics that are not read further for now, and for how long."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self._since_s: dict[str, float] = {}
        self._last_s: dict[str, float] = {}

    def update(self, used_bytes: Mapping[str, int], room_bytes: int, now_s: float) -> None:
        """Decide again which topics are held back; see `waiting_topics`."""
        before, self.topics = self.topics, waiting_topics(used_bytes, room_bytes, self.topics)
        for topic in self.topics - before:
            used = used_bytes[topic]
            log.info("holding back topic %s: %d bytes of it are in memory", topic, used)
        for topic in self.topics:
            if now_s - self._last_s.get(topic, float("-inf")) > HELD_BACK_AGAIN_S:
                self._since_s[topic] = now_s
            self._last_s[topic] = now_s

    def seconds(self, now_s: float) -> dict[str, float]:
        """Return how long topics have been held back, for those that were lately; thread-safe."""
        return {
            topic: now_s - self._since_s[topic]
            for topic, last_s in list(self._last_s.items())
            if now_s - last_s <= HELD_BACK_AGAIN_S
        }
