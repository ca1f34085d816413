"""Who reads which partition, which claims are on their way, and what may be committed next.

Pure: events in, instructions out. The driver (`finkray.driver.archiver`) turns what happens in
Ray, Spark and Kafka into calls of this class and carries out what they return.

A partition is archived in lanes (`finkray.driver.lanes`): a live one, and backfills before it. For
each lane the claims are committed in order and without a hole. A claim that is lost on its
way (its actor died, its batch is gone) voids all claims of the lane that are not committed:
the lane is read again from its frontier under a new generation, and whatever still turns up
of an older generation is discarded.

An actor has one consumer for live lanes and one for backfills, and a consumer reads one
place of a partition at a time. So a partition's backfills are worked off one after the
other, oldest first, for those expire first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from finkray.claim import Claim, TopicPartition
from finkray.driver.instructions import Assign, Discard, Dispatch, Drop, Fail, Instruction, Revoke
from finkray.driver.lanes import Lane
from finkray.errors import BatchGone, StorageError
from finkray.ingest.messages import Assignment, LaneKind, ReadyClaim
from finkray.query.messages import ClaimFailure, ClaimOutcome

_IDLE = 0


@dataclass(slots=True)
class _Lane:
    """A lane on its way into the archive; nobody reads it while its generation is `_IDLE`."""

    first_offset: int
    end_offset: int | None
    frontier: int
    ready_to: int
    generation: int = _IDLE
    in_flight: dict[Claim, ReadyClaim] = field(default_factory=dict)
    staged: dict[Claim, ClaimOutcome] = field(default_factory=dict)

    @classmethod
    def beginning(cls, lane: Lane) -> "_Lane":
        first = lane.first_offset
        return cls(first, lane.end_offset, first, first)

    @property
    def kind(self) -> LaneKind:
        return "live" if self.end_offset is None else "backfill"

    def holds(self, offset: int) -> bool:
        return self.first_offset <= offset and (self.end_offset is None or offset < self.end_offset)


@dataclass(slots=True)
class _Partition:
    """The lanes of a partition in order of offset, all read by one actor."""

    actor: int
    lanes: list[_Lane]
    closing: bool = False

    def lane_at(self, offset: int) -> _Lane | None:
        return next((lane for lane in self.lanes if lane.holds(offset)), None)

    def readable(self) -> list[_Lane]:
        """The lanes that may be read now: the live one and the first of the backfills."""
        backfills = [lane for lane in self.lanes if lane.end_offset is not None]
        return backfills[:1] + [lane for lane in self.lanes if lane.end_offset is None]


class Coordinator:
    """Keeps the partitions' lanes.

    Parameters
    ----------
    actors
        how many ingest actors there are; they are known by their index
    """

    def __init__(self, actors: int) -> None:
        self._actors = actors
        self._came: set[int] = set()
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._generation = _IDLE
        self._draining = False

    @property
    def frontiers(self) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not committed yet."""
        return {
            source: min(lane.frontier for lane in partition.lanes)
            for source, partition in self._partitions.items()
        }

    @property
    def live_frontiers(self) -> dict[TopicPartition, int]:
        """The first offset of each live lane that is not committed yet."""
        return {
            source: lane.frontier
            for source, partition in self._partitions.items()
            for lane in partition.lanes
            if lane.end_offset is None
        }

    @property
    def backlogs(self) -> dict[TopicPartition, int]:
        """How many offsets the backfills of each partition have not committed yet."""
        return {
            source: sum(
                lane.end_offset - lane.frontier
                for lane in partition.lanes
                if lane.end_offset is not None
            )
            for source, partition in self._partitions.items()
        }

    @property
    def readers(self) -> dict[TopicPartition, int]:
        """Which actor reads which partition."""
        return {source: partition.actor for source, partition in self._partitions.items()}

    @property
    def in_flight(self) -> int:
        """Claims that are ready and not committed."""
        return sum(len(lane.in_flight) for _, lane in self._all_lanes())

    @property
    def on_their_way(self) -> list[ReadyClaim]:
        """Claims that are ready and not committed."""
        return [item for _, lane in self._all_lanes() for item in lane.in_flight.values()]

    def found(self, lanes: Mapping[TopicPartition, Sequence[Lane]]) -> list[Instruction]:
        """Partitions that are new to the coordinator, and their lanes in order of offset.

        Each goes to the actor with the fewest partitions.
        """
        instructions: list[Instruction] = []
        for source, wanted in sorted(lanes.items()):
            known = self._partitions.get(source)
            if known is None:
                loads = [0] * self._actors
                for partition in self._partitions.values():
                    loads[partition.actor] += 1
                known = _Partition(loads.index(min(loads)), [])
                self._partitions[source] = known
            elif not known.closing:
                continue
            # If it was out of sight for a moment only, what was held of it is read again.
            known.closing = False
            ends = {lane.end_offset for lane in known.lanes}
            instructions.extend(self._read_again(source, known.lanes))
            known.lanes += [_Lane.beginning(one) for one in wanted if one.end_offset not in ends]
            known.lanes.sort(key=lambda lane: lane.first_offset)
            instructions.extend(self._move_on(source))
        return instructions

    def vanished(self, sources: Iterable[TopicPartition]) -> list[Instruction]:
        """Partitions that Kafka does not have any more: read no further, commit what is held."""
        instructions: list[Instruction] = []
        for source in sources:
            partition = self._partitions.get(source)
            if partition is None:
                continue
            instructions.append(Revoke(partition.actor, source))
            partition.closing = True
            instructions.extend(self._move_on(source))
        return instructions

    def claims_ready(self, actor: int, claims: Sequence[ReadyClaim]) -> list[Instruction]:
        """Claims that an actor has ready.

        One that leaves some out tells that words of the actor were lost: what is not committed
        of the lane is read again. While the archive drains it is only let go, as is one of a
        partition that vanished: nothing more is read there, and what came before is committed.
        """
        instructions: list[Instruction] = []
        for item in claims:
            source = item.claim.source
            lane = self._lane(item.claim)
            current = (
                lane is not None
                and self._partitions[source].actor == actor
                and lane.generation == item.generation
            )
            if lane is None or not current or lane.ready_to != item.claim.first_offset:
                instructions.append(Drop(actor, (item.claim,)))
                if lane is None or not current or lane.ready_to > item.claim.first_offset:
                    continue
                if not self._draining and not self._partitions[source].closing:
                    instructions.extend(self._read_again(source, [lane]))
                    instructions.extend(self._move_on(source))
                continue
            if not lane.holds(item.claim.last_offset):
                instructions.append(Fail(f"{item.claim} ends beyond its lane"))
                continue
            lane.in_flight[item.claim] = item
            lane.ready_to = item.claim.last_offset + 1
            instructions.append(_dispatch(actor, lane, item))
        return instructions

    def outcomes(self, outcomes: Sequence[ClaimOutcome]) -> list[Instruction]:
        """What the tasks of a micro-batch reported."""
        instructions: list[Instruction] = []
        for outcome in outcomes:
            claim = outcome.claim
            if claim is None:
                if outcome.failure is not None:
                    instructions.append(_fail("getting ready", outcome.failure))
                continue
            lane = self._lane(claim)
            expected = (
                lane is not None
                and lane.generation == outcome.generation
                and claim in lane.in_flight
                and claim not in lane.staged
            )
            if lane is None or not expected:
                instructions.append(Discard(outcome))
            elif outcome.failure is not None:
                instructions.extend(self._judge_failure(lane, claim, outcome.failure))
            else:
                lane.staged[claim] = outcome
        return instructions

    def committable(self) -> list[ClaimOutcome]:
        """Staged claims whose predecessors are all committed or stand before them in the list."""
        ready = []
        for _, lane in self._all_lanes():
            offset = lane.frontier
            for claim in sorted(lane.staged):
                if claim.first_offset != offset:
                    break
                ready.append(lane.staged[claim])
                offset = claim.last_offset + 1
        return ready

    def committed(self, claims: Sequence[Claim]) -> tuple[list[Instruction], list[ReadyClaim]]:
        """These claims are durable: what to let go, and what had been ready of them."""
        instructions: list[Instruction] = []
        done = []
        for claim in claims:
            lane = self._lane(claim)
            if lane is None:
                raise ValueError(f"{claim} is of no lane")
            lane.staged.pop(claim)
            done.append(lane.in_flight.pop(claim))
            lane.frontier = claim.last_offset + 1
            instructions.append(Drop(self._partitions[claim.source].actor, (claim,)))
        for source in {claim.source: None for claim in claims}:
            instructions.extend(self._move_on(source))
        return instructions, done

    def drain(self) -> None:
        """Have nothing read any more: what is lost from now on is read at the next start."""
        self._draining = True

    def actor_came(self, actor: int) -> list[Instruction]:
        """An actor reported for the first time: only now it is given what it shall read.

        Nobody would notice that it died before, and what it had been told with it: the actor that
        Ray starts in its place reports for the first time too.
        """
        self._came.add(actor)
        mine = sorted(at for at, partition in self._partitions.items() if partition.actor == actor)
        return [instruction for source in mine for instruction in self._move_on(source)]

    def actor_lost(self, actor: int) -> list[Instruction]:
        """An actor died, and with it all that it held: its lanes are read again."""
        instructions: list[Instruction] = []
        for source, partition in sorted(self._partitions.items()):
            if partition.actor == actor:
                instructions.extend(self._read_again(source, partition.lanes))
                instructions.extend(self._move_on(source))
        return instructions

    def query_lost(self) -> list[Instruction]:
        """The streaming query was started anew: every claim that is not staged is handed in again.

        They get a new generation only if they are read again; an outcome of the lost query
        that still turns up is as good as a new one.
        """
        return [
            _dispatch(partition.actor, lane, item)
            for partition, lane in self._all_lanes()
            for claim, item in lane.in_flight.items()
            if claim not in lane.staged
        ]

    def _judge_failure(self, lane: _Lane, claim: Claim, failure: ClaimFailure) -> list[Instruction]:
        if failure.kind == BatchGone.__name__:
            return self._read_again(claim.source, [lane]) + self._move_on(claim.source)
        if failure.kind == StorageError.__name__:
            actor = self._partitions[claim.source].actor
            return [_dispatch(actor, lane, lane.in_flight[claim], delayed=True)]
        return [_fail(str(claim), failure)]

    def _read_again(self, source: TopicPartition, lanes: Iterable[_Lane]) -> list[Instruction]:
        """Forget what is on its way; `_move_on` gives the lanes to a reader again."""
        instructions: list[Instruction] = []
        for lane in lanes:
            instructions.extend(Discard(outcome) for outcome in lane.staged.values())
            if lane.in_flight:
                actor = self._partitions[source].actor
                instructions.append(Drop(actor, tuple(lane.in_flight)))
            lane.in_flight.clear()
            lane.staged.clear()
            lane.ready_to = lane.frontier
            lane.generation = _IDLE
        return instructions

    def _move_on(self, source: TopicPartition) -> list[Instruction]:
        """Leave lanes that are done, and have those read that are next."""
        partition = self._partitions[source]
        partition.lanes = [
            lane
            for lane in partition.lanes
            if (lane.in_flight if partition.closing else lane.frontier != lane.end_offset)
        ]
        if not partition.lanes:
            del self._partitions[source]
        if partition.closing or self._draining or partition.actor not in self._came:
            return []
        instructions: list[Instruction] = []
        for lane in partition.readable():
            if lane.generation == _IDLE:
                self._generation += 1
                lane.generation = self._generation
                given = Assignment(source, lane.frontier, lane.generation, lane.end_offset)
                instructions.append(Assign(partition.actor, given))
        return instructions

    def _lane(self, claim: Claim) -> _Lane | None:
        partition = self._partitions.get(claim.source)
        return None if partition is None else partition.lane_at(claim.first_offset)

    def _all_lanes(self) -> Iterator[tuple[_Partition, _Lane]]:
        for partition in self._partitions.values():
            for lane in partition.lanes:
                yield partition, lane


def _dispatch(actor: int, lane: _Lane, item: ReadyClaim, *, delayed: bool = False) -> Dispatch:
    return Dispatch(actor, item.claim, item.generation, delayed, lane.kind, len(item.kafka_s))


def _fail(what: str, failure: ClaimFailure) -> Fail:
    return Fail(f"{what}: {failure.kind}: {failure.message}", failure.retriable)
