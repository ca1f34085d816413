"""What Kafka's client reported of partitions, until their leaders answer again."""

import logging
from collections.abc import Callable, Collection, Iterator
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from finkray.errors import TopicChanged
from finkray.ingest.lane_consumer import PartitionKey
from finkray.ingest.silence import Silence
from finkray.kafka.config import RENEW_CLIENT_S
from finkray.kafka.errors import explain, finkray_error

CHECK_TROUBLES_S: Final = 3.0
"""How often a partition in trouble is checked: a quiet one does not report its recovery."""

LEADER_TIMEOUT_S: Final = 1.0
"""A healthy broker answers within milliseconds; reading waits for as long as it does not."""

TroubleKey = tuple[str | None, int | None]
"""Topic and partition; (None, None) of a trouble of a broker."""

_BROKER: Final[TroubleKey] = (None, None)

log = logging.getLogger(__name__)


class PartitionTroubles:
    """The troubles of the partitions that a consumer reads. Not thread-safe, but for `texts`.

    Parameters
    ----------
    check_leader
        raises KafkaException unless the leader of a partition answers in so many seconds
    connect_anew
        called when no leader has answered for long
    now_s
        time of the monotonic clock, as in all methods

    Attributes
    ----------
    texts
        what the client reported, by topic and partition
    """

    def __init__(
        self,
        check_leader: Callable[[PartitionKey, float], None],
        connect_anew: Callable[[], None],
        now_s: float,
    ) -> None:
        self._check_leader = check_leader
        self._connect_anew = connect_anew
        self._silence = Silence(now_s)
        self._check_at_s = 0.0
        self.texts: dict[TroubleKey, str] = {}

    def report(self, key: TroubleKey, error: KafkaError) -> None:
        """Take note of an error of the client, which tries again by itself."""
        self.texts[key] = explain(error)
        log.warning("Kafka trouble on %s[%s]: %s", *key, explain(error))

    def over(self, key: TroubleKey) -> None:
        """Take note that a partition was read, or answered: its broker is well too."""
        self.texts.pop(key, None)
        self.texts.pop(_BROKER, None)

    def heard(self, now_s: float) -> None:
        """Take note that a broker sent something."""
        self._silence.heard(now_s)

    def answered(self, read: Collection[PartitionKey], now_s: float) -> Iterator[TroubleKey]:
        """Query leaders, every `CHECK_TROUBLES_S`; yield the partitions in trouble that answered.

        A trouble of a broker is over when the leader of any partition answers. Without a trouble, a
        leader is queried after a silence.

        Parameters
        ----------
        read
            the partitions that are read
        now_s
            the time
        """
        if now_s < self._check_at_s:
            return
        self._check_at_s = now_s + CHECK_TROUBLES_S
        for key in list(self.texts) or [_BROKER] * self._silence.is_quiet(now_s):
            queried = next((each for each in read if each == key), next(iter(read), None))
            if queried is None:
                return
            try:
                self._check_leader(queried, LEADER_TIMEOUT_S)
            except KafkaException as error:
                log.debug("leader of %s[%s] does not answer yet: %s", *queried, error)
                if isinstance(finkray_error(error), TopicChanged):
                    continue
                self._note_silence(key, explain(error.args[0]), now_s)
                return
            self._silence.heard(now_s)
            yield key

    def _note_silence(self, key: TroubleKey, why: str, now_s: float) -> None:
        """Take note that a leader did not answer; connect anew if none does for long."""
        if not self._silence.unanswered(now_s):
            return
        self.texts.setdefault(key, why)
        if self._silence.renews_client(now_s):
            log.info("no leader answered for %.0f s; connecting anew", RENEW_CLIENT_S)
            self._connect_anew()
