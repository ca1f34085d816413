"""Read lanes with one Kafka consumer, and cut their messages into claims."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection

from confluent_kafka import KafkaError, KafkaException, Message

from finkray.claim import TopicPartition
from finkray.errors import FinkrayError
from finkray.ingest.intake import CutClaim, CutLimits, PartitionIntake
from finkray.ingest.lane import Lane, PolledMessage, expired_claim, lost_tail_text
from finkray.ingest.lane_consumer import LaneConsumer, PartitionKey
from finkray.ingest.messages import Assignment
from finkray.ingest.probes import batch_offset
from finkray.ingest.troubles import PartitionTroubles, TroubleKey
from finkray.ingest.unreadable import TRIES, unreadable_claim
from finkray.ingest.unreadable_lanes import UnreadableLanes
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import PartitionConsumer
from finkray.kafka.errors import explain, finkray_error, is_of_group, is_unreadable

log = logging.getLogger(__name__)


class LaneReader:
    """Reads at most one lane of each partition with a consumer of its own. Not thread-safe.

    Parameters
    ----------
    make_consumer
        opens a consumer as `finkray.kafka.consumer.assigned_consumer` does
    kafka
        the same cluster, to query topics and watermarks
    limits
        when claims are cut
    hold
        called with each claim and the assignment that it belongs to
    unreadable_tries
        how often a record batch that cannot be read is tried before it is skipped

    Attributes
    ----------
    high_watermarks
        of each partition, as far as they are known
    messages, message_bytes
        how much was read so far
    """

    def __init__(
        self,
        make_consumer: Callable[[], PartitionConsumer],
        kafka: KafkaCluster,
        limits: CutLimits,
        hold: Callable[[Assignment, CutClaim[PolledMessage]], None],
        unreadable_tries: int = TRIES,
    ) -> None:
        self._consumer = LaneConsumer(make_consumer)
        self._kafka = kafka
        self._limits = limits
        self._hold = hold
        self._lanes: dict[PartitionKey, Lane] = {}
        self._newest_generation: dict[PartitionKey, int] = {}
        self._troubles = PartitionTroubles(
            self._consumer.check_leader, self.reopen, time.monotonic()
        )
        self._unreadable = UnreadableLanes(make_consumer, unreadable_tries)
        self.high_watermarks: dict[TopicPartition, int] = {}
        self.messages = 0
        self.message_bytes = 0

    @property
    def active(self) -> bool:
        """Whether there is a lane to read, or still a consumer to close."""
        return bool(self._lanes) or self._consumer.is_open

    @property
    def pending_bytes(self) -> int:
        """Bytes of messages that are not in a claim yet; thread-safe."""
        return sum(lane.intake.pending_bytes for lane in list(self._lanes.values()))

    @property
    def troubles(self) -> dict[TroubleKey, str]:
        """What Kafka's client reported, until the partition is read again; thread-safe."""
        return self._troubles.texts

    @property
    def unreadable(self) -> dict[PartitionKey, str]:
        """What is wrong with record batches that cannot be read now; thread-safe."""
        return self._unreadable.texts

    def pending_by_topic(self) -> Counter[str]:
        """Return the bytes of messages that are not in a claim yet, for each topic that is read."""
        pending: Counter[str] = Counter()
        for (topic, _), lane in self._lanes.items():
            pending[topic] += lane.intake.pending_bytes
        return pending

    def hold_back(self, topics: Collection[str]) -> None:
        """Read these topics no further, and all others, from the next `read` on."""
        self._consumer.hold_back([key for key in self._lanes if key[0] in topics])

    @property
    def stalled(self) -> bool:
        """Whether there was no room for a message at the last `read`; thread-safe."""
        return self._consumer.stalled

    def due_in_s(self) -> float | None:
        """Return the seconds until the next claim is due; None if no message waits for a claim."""
        now_s = time.monotonic()
        dues = [lane.intake.due_in_s(self._limits, now_s) for lane in self._lanes.values()]
        return min((due for due in dues if due is not None), default=None)

    def start(self, assignment: Assignment) -> None:
        """Read a lane; it replaces a lane of the same partition.

        An assignment whose generation is not newer than the last one of the partition is ignored,
        because the driver's calls may overtake each other.
        """
        source = assignment.source
        key = (source.topic, source.partition)
        if assignment.generation <= self._newest_generation.get(key, -1):
            return
        self._newest_generation[key] = assignment.generation
        if key in self._lanes:
            self._remove(key)
        lane = Lane(assignment, PartitionIntake(source, assignment.offset))
        self._lanes[key] = lane
        self._skip_expired(key)
        if lane.ended:
            self.stop(source)
            return
        offset = lane.intake.next_offset
        self._consumer.assign(key, offset)
        end = "on" if assignment.end_offset is None else f"to before {assignment.end_offset}"
        log.info("reading %s[%d] from offset %d %s", *key, offset, end)

    def stop(self, source: TopicPartition) -> None:
        """Stop reading this partition, and forget its messages that are not in a claim.

        If its topic was deleted and created again, the lane of the new topic is still read.
        """
        key = (source.topic, source.partition)
        lane = self._lanes.get(key)
        if lane is not None and lane.assignment.source == source:
            self._remove(key)

    def reopen(self) -> None:
        """Open a new consumer, which reads on where this one is."""
        self._consumer.reopen()

    @property
    def positions(self) -> dict[PartitionKey, int]:
        """The next offset of each lane that is read; thread-safe."""
        lanes = list(self._lanes.items())
        return {key: lane.intake.read_to for key, lane in lanes if not lane.suspended}

    def flush(self) -> None:
        """Cut claims of all messages in memory, and stop reading all lanes."""
        self.cut_due(flush=True)
        for lane in list(self._lanes.values()):
            self.stop(lane.assignment.source)

    def read(self, most_messages: int, timeout_s: float) -> int:
        """Read at most this many messages; return how many were read."""
        if not self._consumer.is_open:
            return 0
        if not self._lanes:
            self._consumer.close()
            self.troubles.clear()
            return 0
        messages = self._consumer.poll(most_messages, timeout_s)
        if any(_is_of_kafka(message) for message in messages):
            self._troubles.heard(time.monotonic())
        for message in messages:
            self._receive(message)
        self._pass_unreadable()
        if most_messages > 0:
            self._check_troubles()
        return len(messages)

    def cut_due(self, *, flush: bool = False) -> None:
        """Cut the claims that are due; with `flush`, claims of all messages in memory."""
        for key in list(self._lanes):
            self._cut(key, flush=flush)

    def _remove(self, key: PartitionKey) -> None:
        lane = self._lanes.pop(key)
        self.troubles.pop(key, None)
        self._unreadable.forget(key)
        self.high_watermarks.pop(lane.assignment.source, None)
        self._consumer.unassign(key)

    # Messages.

    def _receive(self, message: Message) -> None:
        key = (message.topic(), message.partition())
        error = message.error()
        if error is not None:
            self._handle_error(key, error, message)
            return
        lane = self._lanes.get(key)
        if lane is None or lane.suspended:
            return  # it was in the client's queue when the partition was unassigned
        end = lane.assignment.end_offset
        if end is not None and message.offset() >= end:
            self._finish(key, end)
            return
        polled = PolledMessage.of(message)
        size_bytes = len(polled.raw.value or b"")
        lane.intake.add(polled, size_bytes, time.monotonic())
        self.messages += 1
        self.message_bytes += size_bytes
        self._troubles.over(key)
        self._unreadable.forget(key)
        if end is not None and message.offset() == end - 1:
            self._finish(key, end)
        elif lane.intake.full(self._limits):
            self._cut(key, flush=False)

    def _finish(self, key: PartitionKey, end_offset: int) -> None:
        """End a lane that was read to its end: Kafka delivers no more of its offsets."""
        lane = self._lanes[key]
        lane.intake.reached_end(end_offset, time.monotonic())
        self._cut(key, flush=True)
        self.stop(lane.assignment.source)

    def _cut(self, key: PartitionKey, *, flush: bool) -> None:
        lane = self._lanes[key]
        cut = lane.intake.cut(self._limits, time.monotonic(), flush=flush)
        if cut is None:
            return
        self._hold(lane.assignment, cut)
        try:
            high = self._consumer.cached_high_watermark(key)
        except KafkaException as error:
            self.troubles[key] = str(finkray_error(error))
            return
        if high is not None:
            self.high_watermarks[lane.intake.source] = high

    # Troubles.

    def _handle_error(self, key: TroubleKey, error: KafkaError, message: Message) -> None:
        lane = self._lanes.get(key)  # type: ignore[arg-type]
        if lane is not None and lane.suspended:
            return  # polled together with what suspended it: behind that nothing can be trusted
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
            self._troubles.over(key)
            if lane is not None:
                self._reach_end(key, lane, message.offset())  # type: ignore[arg-type]
        elif is_unreadable(error) and lane is not None:
            self._note_unreadable(key, batch_offset(message), explain(error))  # type: ignore[arg-type]
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            self._suspend(key, explain(error))  # type: ignore[arg-type]
        elif is_of_group(error):
            log.debug("login has no right on the consumer group, and needs none: %s", error.str())
        else:
            # The driver shows this until the partition is read again.
            self._troubles.report(key, error)

    def _reach_end(self, key: PartitionKey, lane: Lane, offset: int) -> None:
        """Take note that Kafka has no message at this offset yet."""
        end = lane.assignment.end_offset
        if end is not None and offset >= end:
            self._finish(key, end)
        else:
            lane.intake.reached_end(offset, time.monotonic())

    def _check_troubles(self) -> None:
        """Resume lanes whose leaders answer; clear past troubles."""
        for key in self._troubles.answered(list(self._lanes), time.monotonic()):
            lane = self._lanes.get(key)  # type: ignore[arg-type]
            searching = self._unreadable.searching(key)  # type: ignore[arg-type]
            if lane is not None and lane.suspended and not searching:
                self._resume(lane)
            else:
                self._troubles.over(key)

    def _suspend(self, key: PartitionKey, why: str) -> None:
        """Suspend a lane: stop reading until Kafka has its next offset."""
        lane = self._lanes.get(key)
        if lane is None or lane.suspended or not self._consumer.is_open:
            return
        self._cut(key, flush=True)
        self._consumer.unassign(key)
        lane.suspended = True
        self.troubles[key] = why
        log.warning("suspending %s[%d] at offset %d: %s", *key, lane.intake.next_offset, why)
        self._resume(lane)
        if lane.suspended:
            log.warning("%s[%d] stays suspended: %s", *key, self.troubles[key])

    def _resume(self, lane: Lane) -> None:
        """Read a suspended lane again, if Kafka has its next offset."""
        source, intake = lane.assignment.source, lane.intake
        key = (source.topic, source.partition)
        try:
            topic_id = self._kafka.topic_ids([source.topic]).get(source.topic)
        except FinkrayError as error:
            self.troubles[key] = str(error)
            return
        if topic_id != source.topic_id:
            # Its offsets are those of other messages; the topic discovery reports the new topic.
            self.troubles[key] = "the topic was deleted, or deleted and created again"
            return
        self._skip_expired(key)
        if key in self.troubles:
            return
        if lane.ended:
            self.stop(source)
            return
        high = self.high_watermarks[source]
        if high < intake.next_offset:
            # Kafka lost its last messages and assigns their offsets to new ones, which must not be
            # archived under the offsets of the old ones.
            self.troubles[key] = lost_tail_text(high, intake.next_offset)
            return
        end = lane.assignment.end_offset
        end_offset = high if end is None else min(high, end)
        if self._unreadable.search(key, intake.next_offset, end_offset):
            return
        lane.suspended = False
        log.info("reading %s[%d] again from offset %d", *key, intake.next_offset)
        self._consumer.assign(key, intake.next_offset)

    def _skip_expired(self, key: PartitionKey) -> None:
        """Account for offsets that Kafka's retention deleted before they were read."""
        lane = self._lanes[key]
        intake = lane.intake
        try:
            marks = self._kafka.watermarks(*key)
        except FinkrayError as error:
            # Kafka does not answer now; if the offset is out of range, the client will report it.
            self.troubles[key] = str(error)
            return
        self.troubles.pop(key, None)
        self.high_watermarks[intake.source] = marks.high
        end = lane.assignment.end_offset
        low = marks.low if end is None else min(marks.low, end)
        if low > intake.next_offset:
            cut = expired_claim(intake.source, intake.next_offset, low)
            log.warning("%s expired in Kafka before it was read", cut.claim)
            self._hold(lane.assignment, cut)
            intake.next_offset = low

    # Record batches that cannot be read.

    def _note_unreadable(self, key: PartitionKey, offset: int, why: str) -> None:
        """Suspend a lane at a record batch that cannot be read; the batch is tried again.

        The client goes on behind a batch whose checksum differs, at a wrong position: what it
        sends after the error is ignored.
        """
        lane = self._lanes[key]
        if lane.suspended:
            return
        end = lane.assignment.end_offset
        if end is not None and offset >= end:
            self._finish(key, end)
            return
        self._cut(key, flush=True)
        self._consumer.unassign(key)
        lane.suspended = True
        next_offset = lane.intake.next_offset
        self._unreadable.failed(key, offset, next_offset, why)

    def _pass_unreadable(self) -> None:
        """Skip batches whose ends are found, and read partitions again that are due."""
        for key, first, last in self._unreadable.skips():
            self._skip_unreadable(key, self._lanes[key], first, last)
        for key in self._unreadable.due():
            lane = self._lanes[key]
            # A lane that is read already is left alone: its partition may only answer slowly.
            if lane.suspended:
                self._resume(lane)

    def _skip_unreadable(self, key: PartitionKey, lane: Lane, first: int, last: int) -> None:
        """Account for the offsets of a record batch that cannot be read, and continue behind it."""
        intake = lane.intake
        cut = unreadable_claim(intake.source, intake.next_offset, first, last)
        log.warning("skipping %s: %s", cut.claim, self._unreadable.texts[key])
        self._hold(lane.assignment, cut)
        intake.next_offset = last + 1
        lane.suspended = False
        self._unreadable.forget(key)
        if lane.ended:
            self.stop(lane.assignment.source)
        else:
            self._consumer.assign(key, intake.next_offset)


def _is_of_kafka(message: Message) -> bool:
    """Return whether a broker sent something: the client reports lost connections as messages."""
    error = message.error()
    return error is None or is_unreadable(error)
