"""Call Ray from an ingest actor, if the actor runs on Ray."""

import logging
from typing import Any

from finkray.packets.batch import AlertBatch

log = logging.getLogger(__name__)


def put_batch(batch: AlertBatch) -> Any:
    """Put a batch into Ray's object store, and return a reference to it."""
    import ray

    # In a list, so that a task that calls `locate` gets the reference and not yet the batch.
    return [ray.put(batch)]


def node_id() -> str:
    """Return the id of this node; "" without Ray."""
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""


def actor_name() -> str:
    """Return the name of this actor; "" without Ray."""
    import ray

    return (ray.get_runtime_context().get_actor_name() or "") if ray.is_initialized() else ""


def was_restarted() -> bool:
    """Return whether Ray started this actor in place of one that died.

    True if Ray does not answer: an actor must start then too, and it costs little to be careful.
    """
    import ray

    if not ray.is_initialized():
        return False
    try:
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
    except Exception as error:  # noqa: BLE001 - Ray does not say which errors its query raises
        log.warning("Ray does not say whether this actor was restarted: %s", error)
        return True
