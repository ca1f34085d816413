"""Decide from facts which alarms are raised. Pure; `finkray.monitor.alarms` says what to do.

Each alarm follows from a single fact and ends with it: no other code raises or clears an alarm.
`finkray.driver.alarm_facts` collects the facts.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from finkray.claim import ClaimResult
from finkray.dead_letter_reason import DeadLetterReason
from finkray.kafka.errors import HELP

STALLED_S = 60.0
"""Back-pressure stops an actor for moments; for a minute only if no batch becomes durable."""

SLOW_START_S = 180.0
"""Spark takes ten seconds to start, and a minute or two on a machine that is very busy."""

RESTARTS_PER_H = 3
"""One restart repairs itself and only goes to the log; three in an hour have a lasting cause."""

MEMORY_ALARM_S = 3600.0
"""An actor that took too much memory is restarted within seconds, too soon for a person to see."""

AHEAD_S = 2.0
"""Alerts cannot arrive before they are sent. If half seem to, by this much, a clock is wrong."""

LAG_WINDOWS = 5
LAG_WINDOW_S = 120.0
LAG_FLOOR = 1000
"""The lag grows if its lowest value in each of five windows of two minutes is above that of the
window before. A window contains three visits of LSST, so that a burst does not look like growth."""

_SCHEMAS_KEPT = 64
_SCHEMAS_NAMED = 8
"""How many schema ids are kept, and named in the message: damaged packets that begin with a zero
byte may name thousands of ids."""


@dataclass(slots=True)
class DriverTroubles:
    """The troubles that the driver's loop has seen; "" where there is none.

    Attributes
    ----------
    kafka
        why Kafka did not answer the last topic discovery
    no_topic
        the configured topics, if Kafka has none of them
    storage
        the last error of the storage, until a commit succeeds
    expired
        offsets that Kafka's retention deleted before they were read, in this run
    last_expired
        the claim that accounts for the last of them
    other_columns
        alerts with other columns that became dead letters in this run
    last_other_columns
        the claim of the last of them
    unreadable
        offsets of record batches that could not be read, and were skipped, in this run
    last_unreadable
        the claim that accounts for the last of them
    out_of_memory, out_of_memory_at_s
        the last actor that took too much memory and what it read; when on the monotonic clock
    restarts
        what was restarted, and when on the monotonic clock
    unknown_schemas
        ids of schemas that dead letters wait for, at most `_SCHEMAS_KEPT`
    """

    kafka: str = ""
    no_topic: str = ""
    storage: str = ""
    expired: int = 0
    last_expired: str = ""
    other_columns: int = 0
    last_other_columns: str = ""
    unreadable: int = 0
    last_unreadable: str = ""
    out_of_memory: str = ""
    out_of_memory_at_s: float = -math.inf
    restarts: list[tuple[float, str]] = field(default_factory=list)
    unknown_schemas: set[int] = field(default_factory=set)
    _kafka_silent: bool = False

    def add_discovery(self, trouble: str, *, answered: bool) -> None:
        """Take note of a topic discovery.

        While Kafka does not answer, its client gives one and the same outage changing reasons
        (refused, timed out, all brokers down), so the first one stays.

        Parameters
        ----------
        trouble
            what went wrong; "" if nothing did
        answered
            whether Kafka answered
        """
        if answered or not self._kafka_silent or any(each in trouble for each in HELP.values()):
            self.kafka = trouble
        self._kafka_silent = not answered

    def add_committed(self, result: ClaimResult) -> None:
        """Count what a committed claim says of losses and of alerts with other columns."""
        if expired := result.in_gaps_of("expired"):
            self.expired += expired
            self.last_expired = str(result.claim)
        if unreadable := result.in_gaps_of("unreadable"):
            self.unreadable += unreadable
            self.last_unreadable = str(result.claim)
        others = dict(result.dead_letters_by_reason).get(DeadLetterReason.OTHER_COLUMNS, 0)
        if others:
            self.other_columns += others
            self.last_other_columns = str(result.claim)

    def add_out_of_memory(self, what: str, monotonic_s: float) -> None:
        """Take note of an actor that took too much memory, and of what it read."""
        self.out_of_memory, self.out_of_memory_at_s = what, monotonic_s

    def add_restart(self, what: str, monotonic_s: float) -> None:
        """Add a restart, and forget those older than an hour."""
        self.restarts = [*self.restarts_since(monotonic_s - 3600.0), (monotonic_s, what)]

    def restarts_since(self, monotonic_s: float) -> list[tuple[float, str]]:
        """Return the restarts at or after a monotonic time, each with that time."""
        return [(at_s, what) for at_s, what in self.restarts if at_s >= monotonic_s]

    def add_unknown_schemas(self, schema_ids: Iterable[int]) -> None:
        """Add ids of schemas that dead letters wait for, up to `_SCHEMAS_KEPT`."""
        if len(self.unknown_schemas) < _SCHEMAS_KEPT:
            self.unknown_schemas.update(schema_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts about an archive that alarms follow from.

    Attributes
    ----------
    troubles
        the troubles that the driver's loop has seen
    monotonic_s
        the time of these facts
    actor_troubles
        what Kafka's client reported to ingest actors, by the actor's name
    actor_unreadable
        which record batches ingest actors cannot read now, by the actor's name
    actors_down
        why an ingest actor does not answer, by its name
    stalled_s
        for how long each actor has read nothing because it had no room
    held_back_s
        for how long each topic of an actor has been read no further because it takes more than
        its share of the memory, by the actor's name and the topic
    difference
        offsets that are not accounted for
    dead_letters_by_reason
        how many dead letters are not resolved
    starting_s
        for how long the archive has been starting; 0 if it has started
    lease_silent_s, lease_ttl_s
        how long ago the lease was last renewed, and after how long it counts as abandoned
    free_bytes, low_disk_bytes
        free bytes on the archive's disk (None if it has no bound), and the limit for an alarm
    clock_jumped_s
        by how much this machine's clock has jumped lately
    polled_p50_s
        median time from the Kafka timestamp until an alert was read
    lags
        the lag over time: pairs of monotonic seconds and offsets
    """

    troubles: DriverTroubles = field(default_factory=DriverTroubles)
    monotonic_s: float = 0.0
    actor_troubles: Mapping[str, str] = field(default_factory=dict)
    actor_unreadable: Mapping[str, str] = field(default_factory=dict)
    actors_down: Mapping[str, str] = field(default_factory=dict)
    stalled_s: Mapping[str, float] = field(default_factory=dict)
    held_back_s: Mapping[str, float] = field(default_factory=dict)
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
    """Return the alarms that these facts raise: a message for each code."""
    troubles = facts.troubles
    messages = {
        "KAFKA_UNREACHABLE": troubles.kafka or _listed(facts.actor_troubles),
        "NO_TOPIC": troubles.no_topic and f"no topic in Kafka matches {troubles.no_topic}",
        "EXPIRED": _expired(troubles),
        "UNREADABLE": _unreadable(facts),
        "LAG_GROWS": _lag_grows(facts),
        "STORAGE": troubles.storage,
        "LOW_DISK": _low_disk(facts),
        "LEASE": _lease(facts),
        "INTAKE_STOPPED": _intake_stopped(facts),
        "TOPIC_HELD_BACK": _held_back(facts),
        "ACTOR_DOWN": _listed(facts.actors_down),
        "ACTOR_MEMORY": _out_of_memory(facts),
        "SLOW_START": _slow_start(facts),
        "RESTARTS": _restarts(facts),
        "UNKNOWN_SCHEMA": _waiting_for_schema(
            facts, DeadLetterReason.UNKNOWN_SCHEMA, "no schema source knows their schema"
        ),
        "NO_REGISTRY": _waiting_for_schema(
            facts, DeadLetterReason.SCHEMA_UNAVAILABLE, "a schema source did not answer"
        ),
        "OTHER_COLUMNS": _other_columns(troubles),
        "CLOCK": _clock(facts),
        "DIFFERENCE": f"{facts.difference} offsets" if facts.difference else "",
    }
    return {code: message for code, message in messages.items() if message}


def _expired(troubles: DriverTroubles) -> str:
    if not troubles.expired:
        return ""
    return (
        f"{troubles.expired} offsets since the archive started; the last: {troubles.last_expired}"
    )


def _other_columns(troubles: DriverTroubles) -> str:
    if not troubles.other_columns:
        return ""
    return (
        f"{troubles.other_columns} packets since the archive started are dead letters: readers "
        f"could not put them into one table with earlier alerts; the last: "
        f"{troubles.last_other_columns}"
    )


def _unreadable(facts: Facts) -> str:
    now = _listed(facts.actor_unreadable)
    troubles = facts.troubles
    if not troubles.unreadable:
        return now
    skipped = (
        f"{troubles.unreadable} offsets skipped since the archive started; the last: "
        f"{troubles.last_unreadable}"
    )
    return f"{now}; {skipped}" if now else skipped


def _lag_grows(facts: Facts) -> str:
    floors = []
    for window in range(LAG_WINDOWS):
        end_s = facts.monotonic_s - window * LAG_WINDOW_S
        inside = [lag for at_s, lag in facts.lags if end_s - LAG_WINDOW_S < at_s <= end_s]
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
        return ""  # the storage is the cause
    stalled = {name: s for name, s in facts.stalled_s.items() if s >= STALLED_S}
    return _listed({name: f"no room for {s:.0f} s" for name, s in stalled.items()})


def _held_back(facts: Facts) -> str:
    if facts.troubles.storage:
        return ""  # the storage is the cause
    held = {name: s for name, s in facts.held_back_s.items() if s >= STALLED_S}
    return _listed({name: f"held back for {s:.0f} s" for name, s in held.items()})


def _out_of_memory(facts: Facts) -> str:
    troubles = facts.troubles
    lately = facts.monotonic_s - troubles.out_of_memory_at_s < MEMORY_ALARM_S
    return troubles.out_of_memory if lately else ""


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


def _waiting_for_schema(facts: Facts, reason: DeadLetterReason, why: str) -> str:
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
    return f"alerts have times that are {-facts.polled_p50_s:.0f} s ahead of this machine's clock"


def _listed(by_name: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in sorted(by_name.items()))
