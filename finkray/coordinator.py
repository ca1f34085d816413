"""Who reads which partition, which claims are on their way, and what may be committed next.

Pure: events in, instructions out. The driver (`finkray.archiver`) turns what happens in
Ray, Spark and Kafka into calls of this class and carries out what they return.

For each partition the claims are committed in order and without a hole. A claim that is
lost on its way (its actor died, its batch is gone) voids all claims of the partition that
are not committed: the partition is read again from its frontier under a new generation,
and whatever still turns up of an older generation is discarded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from finkray.claim import Claim, TopicPartition
from finkray.errors import BatchGone, StorageError
from finkray.ingest_words import Assignment, Lane, Published
from finkray.orders import Outcome


@dataclass(frozen=True, slots=True)
class Assign:
    """Let the actor read the partition from the offset on."""

    actor: int
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Revoke:
    """Let the actor stop reading the partition."""

    actor: int
    source: TopicPartition


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Hand the claim, with so many alerts, to the streaming query; `delayed`, after a pause."""

    actor: int
    claim: Claim
    generation: int
    delayed: bool = False
    lane: Lane = "live"
    alerts: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the actor let go of the batches of these claims."""

    actor: int
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove what an outcome of an older generation left in staging."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Fail:
    """Something is wrong that trying again does not mend."""

    message: str


Instruction = Assign | Revoke | Dispatch | Drop | Discard | Fail


@dataclass(slots=True)
class _Lane:
    """One partition on its way into the archive."""

    actor: int
    generation: int
    frontier: int
    published_to: int
    closing: bool = False
    in_flight: dict[Claim, Published] = field(default_factory=dict)
    staged: dict[Claim, Outcome] = field(default_factory=dict)


class Coordinator:
    """Keeps the partitions' lanes.

    Parameters
    ----------
    actors
        how many ingest actors there are; they are known by their index
    """

    def __init__(self, actors: int) -> None:
        self._actors = actors
        self._lanes: dict[TopicPartition, _Lane] = {}
        self._generation = 0

    @property
    def frontiers(self) -> dict[TopicPartition, int]:
        """The first offset of each partition that is not committed yet."""
        return {source: lane.frontier for source, lane in self._lanes.items()}

    @property
    def readers(self) -> dict[TopicPartition, int]:
        """Which actor reads which partition."""
        return {source: lane.actor for source, lane in self._lanes.items()}

    @property
    def in_flight(self) -> int:
        """Claims that are published and not committed."""
        return sum(len(lane.in_flight) for lane in self._lanes.values())

    @property
    def on_their_way(self) -> list[Published]:
        """What is published and not committed."""
        return [item for lane in self._lanes.values() for item in lane.in_flight.values()]

    def found(self, starts: Mapping[TopicPartition, int]) -> list[Instruction]:
        """Partitions that are new to the coordinator, and where to begin with each.

        Each goes to the actor with the fewest partitions.
        """
        instructions: list[Instruction] = []
        for source, offset in sorted(starts.items()):
            if (known := self._lanes.get(source)) is not None:
                if known.closing:  # it was out of sight for a moment only
                    known.closing = False
                    instructions.extend(self._read_again(source))
                continue
            loads = [0] * self._actors
            for lane in self._lanes.values():
                loads[lane.actor] += 1
            actor = loads.index(min(loads))
            self._lanes[source] = _Lane(actor, self._next_generation(), offset, offset)
            instructions.append(self._assign(source))
        return instructions

    def vanished(self, sources: Iterable[TopicPartition]) -> list[Instruction]:
        """Partitions that Kafka does not have any more: read no further, commit what is held."""
        instructions: list[Instruction] = []
        for source in sources:
            lane = self._lanes.get(source)
            if lane is None:
                continue
            instructions.append(Revoke(lane.actor, source))
            lane.closing = True
            if not lane.in_flight:
                del self._lanes[source]
        return instructions

    def published(self, actor: int, claims: Sequence[Published]) -> list[Instruction]:
        """Claims that an actor published."""
        instructions: list[Instruction] = []
        for item in claims:
            lane = self._lanes.get(item.claim.source)
            current = (
                lane is not None
                and lane.actor == actor
                and lane.generation == item.generation
                and lane.published_to == item.claim.first_offset
            )
            if lane is None or not current:
                instructions.append(Drop(actor, (item.claim,)))
                continue
            lane.in_flight[item.claim] = item
            lane.published_to = item.claim.last_offset + 1
            instructions.append(Dispatch(actor, item.claim, item.generation))
        return instructions

    def outcomes(self, outcomes: Sequence[Outcome]) -> list[Instruction]:
        """What the tasks of a micro-batch reported."""
        instructions: list[Instruction] = []
        for outcome in outcomes:
            claim = outcome.claim
            if claim is None:
                if outcome.failure is not None:
                    instructions.extend(self._judge_failure(outcome))
                continue
            lane = self._lanes.get(claim.source)
            expected = (
                lane is not None
                and lane.generation == outcome.generation
                and claim in lane.in_flight
                and claim not in lane.staged
            )
            if lane is None or not expected:
                instructions.append(Discard(outcome))
            elif outcome.failure is not None:
                instructions.extend(self._judge_failure(outcome))
            else:
                lane.staged[claim] = outcome
        return instructions

    def committable(self) -> list[Outcome]:
        """Staged claims whose predecessors are all committed or stand before them in the list."""
        ready = []
        for lane in self._lanes.values():
            offset = lane.frontier
            for claim in sorted(lane.staged):
                if claim.first_offset != offset:
                    break
                ready.append(lane.staged[claim])
                offset = claim.last_offset + 1
        return ready

    def committed(self, claims: Sequence[Claim]) -> tuple[list[Instruction], list[Published]]:
        """These claims are durable: what to let go, and what had been published of them."""
        instructions: list[Instruction] = []
        done = []
        for claim in claims:
            lane = self._lanes[claim.source]
            lane.staged.pop(claim)
            done.append(lane.in_flight.pop(claim))
            lane.frontier = claim.last_offset + 1
            instructions.append(Drop(lane.actor, (claim,)))
            if lane.closing and not lane.in_flight:
                del self._lanes[claim.source]
        return instructions, done

    def actor_lost(self, actor: int) -> list[Instruction]:
        """An actor died, and with it all that it held: its partitions are read again."""
        return [
            instruction
            for source, lane in sorted(self._lanes.items())
            if lane.actor == actor
            for instruction in self._read_again(source)
        ]

    def query_lost(self) -> list[Instruction]:
        """The streaming query was started anew: every claim that is not staged is handed in again.

        They get a new generation only if they are read again; an outcome of the lost query
        that still turns up is as good as a new one.
        """
        return [
            Dispatch(lane.actor, claim, lane.generation)
            for lane in self._lanes.values()
            for claim in lane.in_flight
            if claim not in lane.staged
        ]

    def _judge_failure(self, outcome: Outcome) -> list[Instruction]:
        failure, claim = outcome.failure, outcome.claim
        if failure is None:
            return []
        if claim is not None and failure.kind == BatchGone.__name__:
            return self._read_again(claim.source)
        if claim is not None and failure.kind == StorageError.__name__:
            lane = self._lanes[claim.source]
            return [Dispatch(lane.actor, claim, lane.generation, delayed=True)]
        what = "getting ready" if claim is None else str(claim)
        return [Fail(f"{what}: {failure.kind}: {failure.message}")]

    def _read_again(self, source: TopicPartition) -> list[Instruction]:
        lane = self._lanes[source]
        instructions: list[Instruction] = [Discard(outcome) for outcome in lane.staged.values()]
        if lane.in_flight:
            instructions.append(Drop(lane.actor, tuple(lane.in_flight)))
        if lane.closing:
            del self._lanes[source]
            return instructions
        lane.in_flight.clear()
        lane.staged.clear()
        lane.published_to = lane.frontier
        lane.generation = self._next_generation()
        return [*instructions, self._assign(source)]

    def _assign(self, source: TopicPartition) -> Assign:
        lane = self._lanes[source]
        return Assign(lane.actor, Assignment(source, lane.frontier, lane.generation))

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation
