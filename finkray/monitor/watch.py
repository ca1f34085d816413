"""Which alarms are raised, decided from facts alone; `finkray.monitor.alarms` says what to do.

An alarm has one place where its truth is kept, and ends when that says so: nobody else raises or
clears it. `finkray.driver.alarm_facts` gathers the facts.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from finkray.dead_letter_reason import DeadLetterReason

STALLED_S = 60.0
"""Back-pressure stops an actor for moments; for a minute it does when nothing gets through."""

SLOW_START_S = 180.0
"""Spark takes ten seconds to start, and a minute or two on a machine that is very busy."""

RESTARTS_PER_H = 3
"""One restart mends itself and is for the log; three in an hour have a cause that stays."""

AHEAD_S = 2.0
"""Alerts cannot come before they are sent: half of them did by this much, so a clock is off."""

LAG_WINDOWS = 5
LAG_WINDOW_S = 120.0
LAG_FLOOR = 1000
"""The lag grows if its lowest value in each of five windows of two minutes is above that of the
window before. A window has three visits of LSST in it, so that no burst looks like it."""

_MOST_SCHEMAS = 64
_SCHEMAS_NAMED = 8
"""How many ids are kept, and told: random bytes that begin with a zero bring more than anybody
wants to read."""


@dataclass(slots=True)
class Troubles:
    """What the driver's loop has met; "" where all is well.

    Attributes
    ----------
    kafka
        why Kafka did not answer the last time it was asked for its partitions
    no_topic
        which topics are wanted, if Kafka has none of them
    storage
        what the storage said when it last refused, until a commit succeeds
    expired
        offsets that Kafka's retention took before they were read, in this run
    last_expired
        the claim that accounts for the last of them
    restarts
        what was started anew, and when on the monotonic clock
    unknown_schemas
        ids for want of which packets are dead letters, not all if there are very many
    """

    kafka: str = ""
    no_topic: str = ""
    storage: str = ""
    expired: int = 0
    last_expired: str = ""
    restarts: list[tuple[float, str]] = field(default_factory=list)
    unknown_schemas: set[int] = field(default_factory=set)

    def restarted(self, what: str, monotonic_s: float) -> None:
        """Something was started anew; what is older than an hour is forgotten."""
        self.restarts = [*self.restarts_since(monotonic_s - 3600.0), (monotonic_s, what)]

    def restarts_since(self, monotonic_s: float) -> list[tuple[float, str]]:
        """What was started anew since then."""
        return [one for one in self.restarts if one[0] >= monotonic_s]

    def met_unknown(self, schema_ids: Iterable[int]) -> None:
        """Packets are dead letters for want of these schemas."""
        if len(self.unknown_schemas) < _MOST_SCHEMAS:
            self.unknown_schemas.update(schema_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of an archive, as far as alarms follow from it.

    Attributes
    ----------
    troubles
        what the driver's loop has met
    monotonic_s
        when
    actor_troubles
        what Kafka's client told ingest actors, by the actor's name
    actors_down
        ingest actors that do not answer, and why, by name
    stalled_s
        for how long each actor has taken in nothing for want of room
    difference
        offsets that are not accounted for
    dead_letters_by_reason
        those that are not resolved
    starting_s
        for how long the archive has been starting; 0 if it has started
    lease_silent_s, lease_ttl_s
        how long ago the lease was last renewed, and after how long it counts as dead
    free_bytes, low_disk_bytes
        room on the archive's disk (None if it has no bound), and how little is too little
    clock_jumped_s
        by how much this machine's clock has jumped lately
    polled_p50_s
        median time from the Kafka timestamp until an alert was read
    lags
        the lag in the course of time: pairs of monotonic seconds and offsets
    """

    troubles: Troubles = field(default_factory=Troubles)
    monotonic_s: float = 0.0
    actor_troubles: Mapping[str, str] = field(default_factory=dict)
    actors_down: Mapping[str, str] = field(default_factory=dict)
    stalled_s: Mapping[str, float] = field(default_factory=dict)
    difference: int = 0
    dead_letters_by_reason: Mapping[str, int] = field(default_factory=dict)
    starting_s: float = 0.0
    lease_silent_s: float = 0.0
    lease_ttl_s: float = math.inf
    free_bytes: int | None = None
    low_disk_bytes: int = 0
    clock_jumped_s: float = 0.0
    polled_p50_s: float = 0.0
    lags: Sequence[tuple[float, int]] = ()


def alarms_of(facts: Facts) -> dict[str, str]:
    """The alarms that these facts raise: for each code a message."""
    troubles = facts.troubles
    messages = {
        "KAFKA_UNREACHABLE": troubles.kafka or _listed(facts.actor_troubles),
        "NO_TOPIC": troubles.no_topic and f"no topic in Kafka is meant by {troubles.no_topic}",
        "EXPIRED": _expired(troubles),
        "LAG_GROWS": _lag_grows(facts),
        "STORAGE": troubles.storage,
        "LOW_DISK": _low_disk(facts),
        "LEASE": _lease(facts),
        "INTAKE_STOPPED": _intake_stopped(facts),
        "ACTOR_DOWN": _listed(facts.actors_down),
        "SLOW_START": _slow_start(facts),
        "RESTARTS": _restarts(facts),
        "UNKNOWN_SCHEMA": _waiting(
            facts, DeadLetterReason.UNKNOWN_SCHEMA, "nobody knows their schema"
        ),
        "NO_REGISTRY": _waiting(
            facts, DeadLetterReason.SCHEMA_UNAVAILABLE, "whom we asked did not answer"
        ),
        "CLOCK": _clock(facts),
        "DIFFERENCE": f"{facts.difference} offsets" if facts.difference else "",
    }
    return {code: message for code, message in messages.items() if message}


def _expired(troubles: Troubles) -> str:
    if not troubles.expired:
        return ""
    return (
        f"{troubles.expired} offsets since the archive started; the last: {troubles.last_expired}"
    )


def _lag_grows(facts: Facts) -> str:
    floors = []
    for window in range(LAG_WINDOWS):
        ends_s = facts.monotonic_s - window * LAG_WINDOW_S
        inside = [lag for at_s, lag in facts.lags if ends_s - LAG_WINDOW_S < at_s <= ends_s]
        if not inside:
            return ""
        floors.append(min(inside))
    grows = all(later > earlier for later, earlier in pairwise(floors))
    if not grows or floors[0] < LAG_FLOOR:
        return ""
    minutes = LAG_WINDOWS * LAG_WINDOW_S / 60
    return f"from {floors[-1]} to {floors[0]} alerts within {minutes:.0f} min, and never less"


def _low_disk(facts: Facts) -> str:
    if facts.free_bytes is None or facts.free_bytes >= facts.low_disk_bytes:
        return ""
    return f"{facts.free_bytes / 2**30:.1f} GiB are free on the archive's disk"


def _lease(facts: Facts) -> str:
    if facts.lease_silent_s <= facts.lease_ttl_s:
        return ""
    return f"not renewed for {facts.lease_silent_s:.0f} s: the storage refuses, or is very slow"


def _intake_stopped(facts: Facts) -> str:
    if facts.troubles.storage:
        return ""  # which is why
    stalled = {name: s for name, s in facts.stalled_s.items() if s >= STALLED_S}
    return _listed({name: f"no room for {s:.0f} s" for name, s in stalled.items()})


def _slow_start(facts: Facts) -> str:
    if facts.starting_s < SLOW_START_S:
        return ""
    return f"Spark has written nothing yet, {facts.starting_s:.0f} s after the start"


def _restarts(facts: Facts) -> str:
    lately = facts.troubles.restarts_since(facts.monotonic_s - 3600.0)
    if len(lately) < RESTARTS_PER_H:
        return ""
    counted = Counter(what for _, what in lately)
    listed = ", ".join(f"{what} ({count})" for what, count in sorted(counted.items()))
    return f"{len(lately)} within an hour: {listed}"


def _waiting(facts: Facts, reason: DeadLetterReason, why: str) -> str:
    count = facts.dead_letters_by_reason.get(reason, 0)
    if not count:
        return ""
    return f"{count} packets are dead letters: {why}{_named(facts.troubles.unknown_schemas)}"


def _named(schema_ids: Collection[int]) -> str:
    if not schema_ids:
        return ""
    named = ", ".join(map(str, sorted(schema_ids)[:_SCHEMAS_NAMED]))
    more = len(schema_ids) - _SCHEMAS_NAMED
    return f" ({named} and {more} more)" if more > 0 else f" ({named})"


def _clock(facts: Facts) -> str:
    if facts.clock_jumped_s:
        return f"this machine's clock jumped by {facts.clock_jumped_s:+.0f} s, or it slept"
    if facts.polled_p50_s > -AHEAD_S:
        return ""
    return f"alerts bear times that are {-facts.polled_p50_s:.0f} s ahead of this machine's clock"


def _listed(by_name: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in sorted(by_name.items()))
