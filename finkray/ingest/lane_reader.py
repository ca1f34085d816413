"""A Kafka consumer of an ingest actor: the partitions it reads, and the claims cut of them."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import Claim, Gap, TopicPartition
from finkray.errors import FinkrayError, TopicChanged
from finkray.ingest.intake import CutClaim, CutLimits, PartitionIntake
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.errors import explain, finkray_error
from finkray.packets.message import RawMessage

STALL_BEFORE_PAUSE_S = 5.0
"""Pausing throws the Kafka client's queue away, to be fetched again: not worth it for the
short waits of ordinary back-pressure, right for a disk that stays full."""

ASK_AGAIN_S = 3.0
"""How often a partition in trouble is asked about: a quiet one does not say that it is over."""

ANSWER_S = 1.0
"""A broker that is well answers within milliseconds; reading waits for as long as it does not."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Polled:
    """A message, and when it was polled in seconds of Unix time."""

    offset: int
    raw: RawMessage
    polled_s: float


@dataclass(slots=True)
class _Lane:
    """A lane; one that is `aside` waits for Kafka to have its next offset, and is not read."""

    assignment: Assignment
    intake: PartitionIntake[Polled]
    aside: bool = False

    @property
    def ended(self) -> bool:
        return self.intake.next_offset == self.assignment.end_offset


class LaneReader:
    """Reads lanes with a consumer of its own, one in each partition. Not for several threads.

    The consumer is there only while there is something to read: librdkafka's threads and
    its queue are not for free.

    Parameters
    ----------
    make_consumer
        makes it as `finkray.kafka.consumer.assigned_consumer` does
    kafka
        the same cluster, to ask what it holds
    limits
        when claims are cut
    hold
        gets each claim with the assignment that it belongs to

    Attributes
    ----------
    high_watermarks
        the end of each partition in Kafka, as far as it is known
    troubles
        what Kafka is in trouble with, by topic and partition, until they are heard of again
    messages, message_bytes
        how much was read so far
    """

    def __init__(
        self,
        make_consumer: Callable[[], Consumer],
        kafka: KafkaCluster,
        limits: CutLimits,
        hold: Callable[[Assignment, CutClaim[Polled]], None],
    ) -> None:
        self._make_consumer = make_consumer
        self._consumer: Consumer | None = None
        self._kafka = kafka
        self._limits = limits
        self._hold = hold
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._newest: dict[tuple[str, int], int] = {}
        self._stalled_since_s: float | None = None
        self._paused = False
        self._ask_at_s = 0.0
        self.high_watermarks: dict[TopicPartition, int] = {}
        self.troubles: dict[tuple[str | None, int | None], str] = {}
        self.messages = 0
        self.message_bytes = 0

    @property
    def active(self) -> bool:
        """Whether there is a lane to read, or still a consumer to close."""
        return bool(self._lanes) or self._consumer is not None

    @property
    def pending_bytes(self) -> int:
        """Bytes of messages that are not in a claim yet; may be asked for by another thread."""
        return sum(lane.intake.pending_bytes for lane in list(self._lanes.values()))

    @property
    def stalled(self) -> bool:
        """Whether there was no room for a message when it was last asked to read."""
        return self._stalled_since_s is not None

    def due_in_s(self) -> float | None:
        """Seconds until the next claim is due; None if there is nothing to wait for."""
        now_s = time.monotonic()
        dues = [lane.intake.due_in_s(self._limits, now_s) for lane in self._lanes.values()]
        return min((due for due in dues if due is not None), default=None)

    def begin(self, assignment: Assignment) -> None:
        """Read this lane too, in the place of one of the same partition.

        One whose generation is not newer than what was begun there is passed over: calls may
        overtake each other on their way.
        """
        source = assignment.source
        key = (source.topic, source.partition)
        if assignment.generation <= self._newest.get(key, -1):
            return
        self._newest[key] = assignment.generation
        if key in self._lanes:
            self._leave(key)
        lane = _Lane(assignment, PartitionIntake(source, assignment.offset))
        self._lanes[key] = lane
        self._skip_expired(key)
        if lane.ended:
            self.forget(source)
            return
        position = lane.intake.next_offset
        if self._consumer is None:
            self._consumer = self._make_consumer()
        self._consumer.incremental_assign([KafkaPartition(*key, position)])
        end = "on" if assignment.end_offset is None else f"to before {assignment.end_offset}"
        log.info("%s[%d] is read from offset %d %s", *key, position, end)

    def forget(self, source: TopicPartition) -> None:
        """Stop reading this partition; what is not in a claim yet is forgotten.

        If its topic was made anew and the new one is read already, that goes on.
        """
        key = (source.topic, source.partition)
        lane = self._lanes.get(key)
        if lane is not None and lane.assignment.source == source:
            self._leave(key)

    def flush(self) -> None:
        """Put all messages at hand into claims, and read no more."""
        self.cut_due(flush=True)
        for lane in list(self._lanes.values()):
            self.forget(lane.assignment.source)

    def read(self, room: int, wait_s: float) -> int:
        """Read at most so many messages; with no room for one, pause after a while of that.

        Returns how many came.
        """
        if self._consumer is None:
            return 0
        if not self._lanes:
            self._consumer.close()
            self._consumer = None
            self._stalled_since_s, self._paused = None, False
            self.troubles.clear()
            return 0
        if room == 0:
            self._hold_off(self._consumer)
            return 0
        self._stalled_since_s = None
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False
        messages = self._consumer.consume(min(room, 500), wait_s)
        for message in messages:
            self._receive(message)
        self._ask_about_troubles(self._consumer)
        return len(messages)

    def cut_due(self, *, flush: bool = False) -> None:
        """Cut the claims that are due; with `flush`, of all that is at hand."""
        for key in list(self._lanes):
            self._publish(key, flush=flush)

    def _leave(self, key: tuple[str, int]) -> None:
        lane = self._lanes.pop(key)
        self.troubles.pop(key, None)
        self.high_watermarks.pop(lane.assignment.source, None)
        self._unassign(key)

    def _unassign(self, key: tuple[str, int]) -> None:
        if self._consumer is not None and any(
            (at.topic, at.partition) == key for at in self._consumer.assignment()
        ):
            self._consumer.incremental_unassign([KafkaPartition(*key)])

    def _hold_off(self, consumer: Consumer) -> None:
        now_s = time.monotonic()
        if self._stalled_since_s is None:
            self._stalled_since_s = now_s
        elif not self._paused and now_s - self._stalled_since_s >= STALL_BEFORE_PAUSE_S:
            consumer.pause(consumer.assignment())
            self._paused = True

    def _receive(self, message: Message) -> None:
        key = (message.topic(), message.partition())
        error = message.error()
        if error is not None:
            self._note(key, error, message)
            return
        lane = self._lanes.get(key)
        if lane is None:
            return  # left over in the client's queue from before the partition was given away
        end = lane.assignment.end_offset
        if end is not None and message.offset() >= end:
            self._end(key, end)
            return
        value = message.value()
        kind, timestamp_ms = message.timestamp()
        raw = RawMessage(message.offset(), timestamp_ms if kind else None, value)
        size = len(value) if value is not None else 0
        lane.intake.add(Polled(raw.offset, raw, time.time()), size, time.monotonic())
        self.messages += 1
        self.message_bytes += size
        self._heard_of(key)
        if end is not None and message.offset() == end - 1:
            self._end(key, end)
        elif lane.intake.full(self._limits):
            self._publish(key, flush=False)

    def _ask_about_troubles(self, consumer: Consumer) -> None:
        now_s = time.monotonic()
        if not self.troubles or now_s < self._ask_at_s:
            return
        self._ask_at_s = now_s + ASK_AGAIN_S
        for key in list(self.troubles):
            place = key if key in self._lanes else next(iter(self._lanes), None)
            if place is None:
                return
            try:
                consumer.get_watermark_offsets(KafkaPartition(*place), timeout=ANSWER_S)
            except KafkaException as error:
                log.debug("no answer about %s[%s] yet: %s", *place, error)
                if isinstance(finkray_error(error), TopicChanged):
                    continue
                return
            lane = self._lanes.get(key)  # type: ignore[arg-type]
            if lane is not None and lane.aside:
                self._take_up(lane, consumer)
            else:
                self._heard_of(key)

    def _heard_of(self, key: tuple[str | None, int | None]) -> None:
        self.troubles.pop(key, None)
        self.troubles.pop((None, None), None)  # what was said of the broker itself

    def _end(self, key: tuple[str, int], end_offset: int) -> None:
        """A lane was read to its end: nothing that is left out before it will come any more."""
        lane = self._lanes[key]
        lane.intake.reached_end(end_offset, time.monotonic())
        self._publish(key, flush=True)
        self.forget(lane.assignment.source)

    def _note(
        self, key: tuple[str | None, int | None], error: KafkaError, message: Message
    ) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
            self._heard_of(key)
            lane = self._lanes.get(key)  # type: ignore[arg-type]
            if lane is None:
                return
            end = lane.assignment.end_offset
            if end is not None and message.offset() >= end:
                self._end(key, end)  # type: ignore[arg-type]
            else:
                lane.intake.reached_end(message.offset(), time.monotonic())
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            self._put_aside(key, explain(error))  # type: ignore[arg-type]
        elif code == KafkaError.GROUP_AUTHORIZATION_FAILED:
            # The client asks for the coordinator of a group that is not used here.
            log.debug("no right on the group, and none is needed: %s", error.str())
        else:
            # The client tries again by itself; the driver shows this until the partition is
            # heard of again.
            self.troubles[key] = explain(error)
            log.warning("Kafka trouble on %s[%s]: %s", *key, explain(error))

    def _put_aside(self, key: tuple[str, int], why: str) -> None:
        """Kafka does not have the offset that is next: read on once it has, if ever."""
        lane = self._lanes.get(key)
        if lane is None or self._consumer is None:
            return
        self._publish(key, flush=True)
        self._unassign(key)
        lane.aside = True
        self.troubles[key] = why
        log.warning("%s[%d], next offset %d: %s", *key, lane.intake.next_offset, why)
        self._take_up(lane, self._consumer)
        if lane.aside:
            log.warning("%s[%d] is not read for now: %s", *key, self.troubles[key])

    def _take_up(self, lane: _Lane, consumer: Consumer) -> None:
        """Read a lane on that was put aside, if Kafka has its offset again."""
        source, intake = lane.assignment.source, lane.intake
        key = (source.topic, source.partition)
        try:
            topic_id = self._kafka.topic_ids([source.topic]).get(source.topic)
        except FinkrayError as error:
            self.troubles[key] = str(error)
            return
        if topic_id != source.topic_id:
            # Its offsets are those of other messages: the driver's scout will tell.
            self.troubles[key] = "the topic was deleted, or made anew"
            return
        self._skip_expired(key)
        if key in self.troubles:
            return
        if lane.ended:
            self.forget(source)
            return
        high = self.high_watermarks[source]
        if high < intake.next_offset:
            # Kafka lost its end. What it gives these numbers to now has no place in the archive.
            self.troubles[key] = (
                f"it ends at offset {high} in Kafka, before {intake.next_offset}, which is next: "
                "messages were lost there, and new ones below that are not read"
            )
            return
        lane.aside = False
        log.info("%s[%d] is read on from offset %d", *key, intake.next_offset)
        consumer.incremental_assign([KafkaPartition(*key, intake.next_offset)])

    def _skip_expired(self, key: tuple[str, int]) -> None:
        """Account for offsets that Kafka's retention took before they were read."""
        lane = self._lanes[key]
        intake = lane.intake
        try:
            marks = self._kafka.watermarks(*key)
        except FinkrayError as error:
            # Not answered now: the client will report the offset as out of range if it is.
            self.troubles[key] = str(error)
            return
        self.troubles.pop(key, None)
        self.high_watermarks[intake.source] = marks.high
        end = lane.assignment.end_offset
        low = marks.low if end is None else min(marks.low, end)
        if low > intake.next_offset:
            gap = Gap("expired", intake.next_offset, low - 1)
            claim = Claim(intake.source, gap.first_offset, gap.last_offset)
            log.warning("%s expired in Kafka before it was read: %d offsets", claim, gap.offsets)
            self._hold(lane.assignment, CutClaim(claim, (), (gap,), 0))
            intake.next_offset = low

    def _publish(self, key: tuple[str, int], *, flush: bool) -> None:
        lane = self._lanes[key]
        cut = lane.intake.cut(self._limits, time.monotonic(), flush=flush)
        if cut is not None:
            self._hold(lane.assignment, cut)
            self._look_at_end(lane.intake.source)

    def _look_at_end(self, source: TopicPartition) -> None:
        if self._consumer is None:
            return
        try:
            _, high = self._consumer.get_watermark_offsets(
                KafkaPartition(source.topic, source.partition), cached=True
            )
        except KafkaException as error:
            self.troubles[source.topic, source.partition] = str(finkray_error(error))
            return
        if high >= 0:
            self.high_watermarks[source] = high
