"""Which alarms are raised, decided from facts alone; `finkray.alarms` says what to do about each.

An alarm has one place where its truth is kept, and ends when that says so: nobody else raises or
clears it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from finkray.avro_frame import WAIT_FOR_A_SCHEMA


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
    """

    kafka: str = ""
    no_topic: str = ""
    storage: str = ""
    expired: int = 0
    last_expired: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The state of an archive, as far as alarms follow from it.

    Attributes
    ----------
    troubles
        what the driver's loop has met
    actor_troubles
        what Kafka's client told ingest actors, by the actor's name
    actors_down
        ingest actors that do not answer, and why, by name
    difference
        offsets that are not accounted for
    dead_letters_by_reason
        those that are not resolved
    """

    troubles: Troubles = field(default_factory=Troubles)
    actor_troubles: Mapping[str, str] = field(default_factory=dict)
    actors_down: Mapping[str, str] = field(default_factory=dict)
    difference: int = 0
    dead_letters_by_reason: Mapping[str, int] = field(default_factory=dict)


def alarms_of(facts: Facts) -> dict[str, str]:
    """The alarms that these facts raise: for each code a message."""
    troubles = facts.troubles
    waiting = sum(facts.dead_letters_by_reason.get(reason, 0) for reason in WAIT_FOR_A_SCHEMA)
    messages = {
        "KAFKA_UNREACHABLE": troubles.kafka or _listed(facts.actor_troubles),
        "NO_TOPIC": troubles.no_topic and f"no topic in Kafka is meant by {troubles.no_topic}",
        "STORAGE": troubles.storage,
        "EXPIRED": _expired(troubles),
        "ACTOR_DOWN": _listed(facts.actors_down),
        "UNKNOWN_SCHEMA": f"{waiting} packets are dead letters for want of it" if waiting else "",
        "DIFFERENCE": f"{facts.difference} offsets" if facts.difference else "",
    }
    return {code: message for code, message in messages.items() if message}


def _expired(troubles: Troubles) -> str:
    if not troubles.expired:
        return ""
    return (
        f"{troubles.expired} offsets since the archive started; the last: {troubles.last_expired}"
    )


def _listed(by_name: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in sorted(by_name.items()))
