"""Decide which actor reads which lane, and which claims are committed next.

Pure: events in, instructions out. The driver (`finkray.driver.archiver`) turns events in Ray, Spark
and Kafka into calls of this class and carries out the instructions that they return.

A partition is archived in lanes (`finkray.driver.lanes`): a live one, and backfills before it. For
each lane the claims are committed in order and without a hole. If a claim is lost (its actor died,
its batch is gone), all claims of the lane that are not committed are void: the lane is read again
from its frontier under a new generation, and claims of an older generation are discarded.

Claims of a trickle may share files. They are committed at once or not at all: if one of them is
void, its files are, and the others, whose batches are still held, are dispatched again. A claim
under load shares no file, and waits for those before it in its lane alone.

An actor has one consumer for live lanes and one for backfills, and a consumer reads at one offset
of a partition at a time. So the backfills of a partition are archived one after the other, oldest
first, because the oldest expire first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from finkray.claim import Claim, TopicPartition
from finkray.driver.instructions import Assign, Discard, Dispatch, Drop, Fail, Instruction, Revoke
from finkray.driver.lane_state import IDLE, LaneState, PartitionLanes
from finkray.driver.lanes import Lane
from finkray.driver.staged_groups import StagedGroups, groups_by_files
from finkray.errors import BatchGone, StorageError
from finkray.ingest.messages import Assignment, ReadyClaim
from finkray.query.messages import ClaimFailure, ClaimOutcome


class Coordinator:
    """Tracks the lanes of all partitions.

    Parameters
    ----------
    actors
        how many ingest actors there are; an actor is identified by its index
    """

    def __init__(self, actors: int) -> None:
        self._actors = actors
        self._started: set[int] = set()
        self._partitions: dict[TopicPartition, PartitionLanes] = {}
        self._generation = IDLE
        self._groups = StagedGroups()
        self._draining = False

    @property
    def frontiers(self) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not committed."""
        return {
            source: min(lane.frontier for lane in partition.lanes)
            for source, partition in self._partitions.items()
        }

    @property
    def live_frontiers(self) -> dict[TopicPartition, int]:
        """The first offset of each live lane that is not committed."""
        return {
            source: lane.frontier
            for source, partition in self._partitions.items()
            for lane in partition.lanes
            if lane.end_offset is None
        }

    @property
    def backlogs(self) -> dict[TopicPartition, int]:
        """How many offsets of each partition its backfills have not committed."""
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
        """How many claims are ready and not committed."""
        return sum(len(lane.in_flight) for _, lane in self._all_lanes())

    @property
    def uncommitted(self) -> list[ReadyClaim]:
        """Claims that are ready and not committed."""
        return [ready for _, lane in self._all_lanes() for ready in lane.in_flight.values()]

    def partitions_found(self, lanes: Mapping[TopicPartition, Sequence[Lane]]) -> list[Instruction]:
        """Add partitions with their lanes, which are in order of offset.

        Each new partition is assigned to the actor with the fewest partitions.
        """
        instructions: list[Instruction] = []
        for source, new_lanes in sorted(lanes.items()):
            known = self._partitions.get(source)
            if known is None:
                loads = [0] * self._actors
                for partition in self._partitions.values():
                    loads[partition.actor] += 1
                known = PartitionLanes(loads.index(min(loads)), [])
                self._partitions[source] = known
            elif not known.closing:
                continue
            # Kafka did not list the partition for a moment: claims that were held are read again.
            known.closing = False
            ends = {lane.end_offset for lane in known.lanes}
            instructions.extend(self._read_again(source, known.lanes))
            known.lanes += [
                LaneState.beginning(lane) for lane in new_lanes if lane.end_offset not in ends
            ]
            known.lanes.sort(key=lambda lane: lane.first_offset)
            instructions.extend(self._advance(source))
        return instructions

    def partitions_gone(self, sources: Iterable[TopicPartition]) -> list[Instruction]:
        """Stop reading deleted partitions, and commit those of their claims that are held."""
        instructions: list[Instruction] = []
        for source in sources:
            partition = self._partitions.get(source)
            if partition is None:
                continue
            instructions.append(Revoke(partition.actor, source))
            partition.closing = True
            instructions.extend(self._advance(source))
        return instructions

    def claims_ready(self, actor: int, claims: Sequence[ReadyClaim]) -> list[Instruction]:
        """Dispatch claims that an actor has ready.

        If a claim does not start where the last one of its lane ended, a report of the actor was
        lost: re-read the lane from its frontier. While the archive drains, or if the partition is
        gone, drop the claim instead: nothing more is read there, and earlier claims are committed.
        """
        instructions: list[Instruction] = []
        for ready in claims:
            source = ready.claim.source
            lane = self._lane(ready.claim)
            current = (
                lane is not None
                and self._partitions[source].actor == actor
                and lane.generation == ready.generation
            )
            if lane is None or not current or lane.ready_to != ready.claim.first_offset:
                instructions.append(Drop(actor, (ready.claim,)))
                if lane is None or not current or lane.ready_to > ready.claim.first_offset:
                    continue
                if not self._draining and not self._partitions[source].closing:
                    instructions.extend(self._read_again(source, [lane]))
                    instructions.extend(self._advance(source))
                continue
            if not lane.holds(ready.claim.last_offset):
                instructions.append(Fail(f"{ready.claim} ends beyond its lane"))
                continue
            lane.in_flight[ready.claim] = ready
            lane.ready_to = ready.claim.last_offset + 1
            instructions.append(_dispatch(actor, lane, ready))
        return instructions

    def outcomes(self, outcomes: Sequence[ClaimOutcome]) -> list[Instruction]:
        """Note which claims the tasks of a micro-batch staged; decide what follows a failure."""
        instructions: list[Instruction] = []
        for group in groups_by_files(outcomes):
            if len(group) > 1:
                instructions.extend(self._note_group(group))
                continue
            (outcome,) = group
            claim = outcome.claim
            if claim is None:
                if outcome.failure is not None:
                    instructions.append(_fail("preparing a Spark task", outcome.failure))
                continue
            lane = self._lane_waiting_for(outcome)
            if lane is None:
                instructions.append(Discard(outcome))
            elif outcome.failure is not None:
                instructions.extend(self._after_failure(lane, claim, outcome.failure))
            else:
                lane.staged[claim] = outcome
        return instructions

    def committable(self) -> list[ClaimOutcome]:
        """Return staged claims whose predecessors are committed or precede them in the list.

        Of claims that share files all are in the list, or none: commit the whole list at once.
        """
        return self._groups.committable(lane.next_staged() for _, lane in self._all_lanes())

    def committed(self, claims: Sequence[Claim]) -> tuple[list[Instruction], list[ReadyClaim]]:
        """Advance the frontiers past durable claims; return instructions and the ready claims."""
        instructions: list[Instruction] = []
        done = []
        for claim in claims:
            lane = self._lane(claim)
            if lane is None:
                raise ValueError(f"{claim} lies in no lane")
            lane.staged.pop(claim)
            done.append(lane.in_flight.pop(claim))
            lane.frontier = claim.last_offset + 1
            self._groups.remove([claim])
            instructions.append(Drop(self._partitions[claim.source].actor, (claim,)))
        for source in {claim.source: None for claim in claims}:
            instructions.extend(self._advance(source))
        return instructions, done

    def drain(self) -> None:
        """Assign no more lanes: claims that are lost from now on are read at the next start."""
        self._draining = True

    def actor_started(self, actor: int) -> list[Instruction]:
        """Assign its lanes to an actor that reported for the first time.

        Lanes that are assigned earlier could get lost unnoticed: if the actor dies before its first
        report, the one that Ray starts in its place reports for the first time too.
        """
        self._started.add(actor)
        sources = sorted(
            source for source, partition in self._partitions.items() if partition.actor == actor
        )
        return [instruction for source in sources for instruction in self._advance(source)]

    def actor_lost(self, actor: int) -> list[Instruction]:
        """Read the lanes of a dead actor again: the claims that it held are lost."""
        instructions: list[Instruction] = []
        for source, partition in sorted(self._partitions.items()):
            if partition.actor == actor:
                instructions.extend(self._read_again(source, partition.lanes))
                instructions.extend(self._advance(source))
        return instructions

    def query_lost(self) -> list[Instruction]:
        """Dispatch all claims that are not staged again, after a restart of the streaming query.

        The claims keep their generation, as they are not read again: a late outcome of the lost
        query is as good as a new one.
        """
        return [
            _dispatch(partition.actor, lane, ready)
            for partition, lane in self._all_lanes()
            for claim, ready in lane.in_flight.items()
            if claim not in lane.staged
        ]

    def _lane_waiting_for(self, outcome: ClaimOutcome) -> LaneState | None:
        """Return the lane that waits for the outcome; None if its claim is void, or staged."""
        claim = outcome.claim
        lane = None if claim is None else self._lane(claim)
        waits = (
            lane is not None
            and lane.generation == outcome.generation
            and claim in lane.in_flight
            and claim not in lane.staged
        )
        return lane if waits else None

    def _note_group(self, group: Sequence[ClaimOutcome]) -> list[Instruction]:
        """Note the claims of a group as staged; if one is void, dispatch the others again."""
        expected = {o.claim: lane for o in group if o.claim and (lane := self._lane_waiting_for(o))}
        if len(expected) == len(group):
            for outcome in group:
                if outcome.claim is not None:
                    expected[outcome.claim].staged[outcome.claim] = outcome
            self._groups.add(list(expected))
            return []
        return [
            *map(Discard, group),
            *(self._dispatch_again(lane, claim) for claim, lane in expected.items()),
        ]

    def _dispatch_again(self, lane: LaneState, claim: Claim) -> Dispatch:
        return _dispatch(self._partitions[claim.source].actor, lane, lane.in_flight[claim])

    def _after_failure(
        self, lane: LaneState, claim: Claim, failure: ClaimFailure
    ) -> list[Instruction]:
        """Decide what follows a failure: read the lane again, dispatch the claim later, or end."""
        if failure.error_class == BatchGone.__name__:
            return self._read_again(claim.source, [lane]) + self._advance(claim.source)
        if failure.error_class == StorageError.__name__:
            actor = self._partitions[claim.source].actor
            return [_dispatch(actor, lane, lane.in_flight[claim], delayed=True)]
        return [_fail(str(claim), failure)]

    def _read_again(self, source: TopicPartition, lanes: Iterable[LaneState]) -> list[Instruction]:
        """Forget the uncommitted claims of lanes; `_advance` has the lanes read again.

        Claims of other lanes that share files with them are dispatched again.
        """
        lanes = list(lanes)
        void = {claim for lane in lanes for claim in lane.staged}
        others = {other for claim in void for other in self._groups.of(claim)} - void
        instructions: list[Instruction] = []
        for claim in sorted(others):
            other_lane = self._lane(claim)
            if other_lane is not None:
                instructions.append(Discard(other_lane.staged.pop(claim)))
                instructions.append(self._dispatch_again(other_lane, claim))
        self._groups.remove(void | others)
        for lane in lanes:
            instructions.extend(Discard(outcome) for outcome in lane.staged.values())
            if lane.in_flight:
                actor = self._partitions[source].actor
                instructions.append(Drop(actor, tuple(lane.in_flight)))
            lane.in_flight.clear()
            lane.staged.clear()
            lane.ready_to = lane.frontier
            lane.generation = IDLE
        return instructions

    def _advance(self, source: TopicPartition) -> list[Instruction]:
        """Remove lanes that are complete, and assign those that are next."""
        partition = self._partitions[source]
        partition.lanes = [
            lane
            for lane in partition.lanes
            if (lane.in_flight if partition.closing else lane.frontier != lane.end_offset)
        ]
        if not partition.lanes:
            del self._partitions[source]
        if partition.closing or self._draining or partition.actor not in self._started:
            return []
        instructions: list[Instruction] = []
        for lane in partition.readable():
            if lane.generation == IDLE:
                self._generation += 1
                lane.generation = self._generation
                assignment = Assignment(source, lane.frontier, lane.generation, lane.end_offset)
                instructions.append(Assign(partition.actor, assignment))
        return instructions

    def _lane(self, claim: Claim) -> LaneState | None:
        partition = self._partitions.get(claim.source)
        return None if partition is None else partition.lane_at(claim.first_offset)

    def _all_lanes(self) -> Iterator[tuple[PartitionLanes, LaneState]]:
        for partition in self._partitions.values():
            for lane in partition.lanes:
                yield partition, lane


def _dispatch(actor: int, lane: LaneState, ready: ReadyClaim, *, delayed: bool = False) -> Dispatch:
    return Dispatch(
        actor,
        ready.claim,
        ready.generation,
        delayed,
        lane.kind,
        alerts=len(ready.kafka_s),
        write_cost=ready.write_cost,
        held_bytes=ready.held_bytes,
    )


def _fail(what: str, failure: ClaimFailure) -> Fail:
    return Fail(f"{what}: {failure.error_class}: {failure.message}", failure.retriable)
