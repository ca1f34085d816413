"""Decide whether a Ray cluster has room for the archive. Pure.

Ray queues an actor that does not fit for ever, without an error. A node may be away for a while, so
the errors are retriable.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from finkray.errors import ClusterUnavailable
from finkray.settings.ingest import IngestSettings
from finkray.settings.spark import EXECUTOR_RESOURCE, SparkSettings
from finkray.text import bytes_text

Resources = Mapping[str, float]
"""Amounts by Ray's names of resources; memory is in bytes."""

CPU: Final = "CPU"
MEMORY: Final = "memory"
OBJECT_STORE: Final = "object_store_memory"


@dataclass(frozen=True, slots=True)
class Demand:
    """What one process reserves.

    Attributes
    ----------
    who
        the process, for people
    amounts
        what it reserves
    settings
        the setting that says how much, by resource
    """

    who: str
    amounts: Resources
    settings: Mapping[str, str]


def refuse_too_small(
    nodes: Sequence[Resources], ingest: IngestSettings, spark: SparkSettings
) -> None:
    """Refuse a cluster on which the archive would wait for ever.

    Parameters
    ----------
    nodes
        all resources of each node that is alive, reserved or not
    ingest, spark
        settings of what reserves resources

    Raises
    ------
    ClusterUnavailable
        if it has no room; the message says what to do
    """
    store_bytes = sum(node.get(OBJECT_STORE, 0.0) for node in nodes)
    if store_bytes < ingest.held_bytes:
        raise ClusterUnavailable(
            f"ingest.held_bytes is {bytes_text(ingest.held_bytes)} but Ray's object store has only "
            f"{bytes_text(store_bytes)}: lower ingest.held_bytes, or raise --object-store-memory "
            "of `ray start`"
        )
    actor, executor = _actor(ingest), _executor(spark)
    for demand in (actor, executor):
        if not any(_fits(demand.amounts, node) for node in nodes):
            lacking = "; ".join(_lacking(demand, nodes)) or "no node has all of that at once"
            raise ClusterUnavailable(
                f"no node of Ray has room for one {demand.who}: {lacking}. Lower that, or give Ray "
                "a larger node (`ray status` shows what there is)"
            )
    needed = ingest.actors * actor.amounts.get(CPU, 0.0) + executor.amounts.get(CPU, 0.0)
    cpus = sum(node.get(CPU, 0.0) for node in nodes)
    if needed > cpus:
        raise ClusterUnavailable(
            f"Ray has {cpus:g} CPUs, and {ingest.actors} ingest actors with one Spark executor "
            f"reserve {needed:g}: lower ingest.actors or ingest.cpus_per_actor"
        )


def _actor(settings: IngestSettings) -> Demand:
    custom = dict.fromkeys(settings.resources, "ingest.resources")
    amounts = {CPU: settings.cpus_per_actor, **settings.resources}
    return Demand("ingest actor", amounts, {CPU: "ingest.cpus_per_actor", **custom})


def _executor(settings: SparkSettings) -> Demand:
    custom = dict.fromkeys(settings.resources, "spark.resources")
    names = {CPU: "spark.executor_cpus", MEMORY: "spark.executor_memory", **custom}
    amounts = {
        CPU: settings.executor_cpus,
        MEMORY: settings.executor_memory_bytes,
        **settings.resources,
    }
    # RayDP prefers a user's spark.conf entry for a resource to what finkray reserves.
    theirs = {key.removeprefix(EXECUTOR_RESOURCE).lower() for key in settings.conf}
    ours = {name: amount for name, amount in amounts.items() if name.lower() not in theirs}
    return Demand("Spark executor", ours, names)


def _fits(amounts: Resources, node: Resources) -> bool:
    return all(node.get(name, 0.0) >= amount for name, amount in amounts.items())


def _lacking(demand: Demand, nodes: Sequence[Resources]) -> Iterator[str]:
    """Yield each resource of which no node has enough."""
    for name, amount in demand.amounts.items():
        most = max((node.get(name, 0.0) for node in nodes), default=0.0)
        if most < amount:
            text = bytes_text if name == MEMORY else "{:g}".format
            yield f"{demand.settings[name]} is {text(amount)} of {name}, a node has {text(most)}"
