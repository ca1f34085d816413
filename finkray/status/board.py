"""Publish the last snapshot of a job through a named Ray actor, its board.

A board ends with the driver that started it. Ray restarts one that dies before: the driver's next
snapshot is all that it needs. A board also exports the snapshot's gauges as Ray metrics, on each
node's metrics port.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import BaseModel

from finkray.errors import ClusterUnavailable
from finkray.host.ray_connection import errors_of_ray
from finkray.status.archive import Snapshot
from finkray.status.gauges import (
    ARCHIVE_GAUGES,
    SERVICE_GAUGES,
    STREAMOUT_GAUGES,
    GaugeSpec,
)
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import StreamoutSnapshot

if TYPE_CHECKING:  # 0.15 s to load, in an actor that has no use for them
    from finkray.settings.model import Settings

NAME_IS_FREE_S = 30.0
"""After a driver's end Ray needs a second or two to end its actors."""

READ_TIMEOUT_S = 5.0
"""A board only keeps a string: one that does not answer for this long is being torn down."""

SnapshotT = TypeVar("SnapshotT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class BoardSpec(Generic[SnapshotT]):
    """What a board is called, keeps and exports.

    Attributes
    ----------
    name
        of the Ray actor, unique in a Ray namespace
    snapshot_type
        of the snapshots
    gauges
        the metrics
    """

    name: str
    snapshot_type: type[SnapshotT]
    gauges: tuple[GaugeSpec[SnapshotT], ...]


ARCHIVE_BOARD = BoardSpec("finkray-archive-board", Snapshot, ARCHIVE_GAUGES)
STREAMOUT_BOARD = BoardSpec("finkray-streamout-board", StreamoutSnapshot, STREAMOUT_GAUGES)

_KV_NAMESPACE: Final = b"finkray"
"""Namespace in Ray's key-value store: a board also stores its snapshot there, for commands."""

_SERVICE_PREFIX, _SERVICE_SUFFIX = "finkray-service-", "-board"


def service_board(name: str) -> BoardSpec[ServiceSnapshot]:
    """Return the board of the service whose results have this name."""
    return BoardSpec(f"{_SERVICE_PREFIX}{name}{_SERVICE_SUFFIX}", ServiceSnapshot, SERVICE_GAUGES)


class Board(Generic[SnapshotT]):
    """Keeps the last snapshot; a driver makes it a Ray actor."""

    def __init__(self, spec: BoardSpec[SnapshotT], namespace: str) -> None:
        from ray.util.metrics import Gauge

        self._spec = spec
        self._key = _key(spec.name, namespace)
        self._snapshot: str | None = None
        self._gauges = {
            gauge.name: Gauge(gauge.name, description=gauge.description, tag_keys=gauge.tag_keys)
            for gauge in spec.gauges
        }

    def publish(self, snapshot_json: str) -> None:
        """Replace the snapshot, also in Ray's key-value store, and set the gauges."""
        from ray.experimental.internal_kv import _internal_kv_put

        self._snapshot = snapshot_json
        # 2.3 ms for 60 kB
        _internal_kv_put(self._key, snapshot_json, overwrite=True, namespace=_KV_NAMESPACE)
        snapshot = self._spec.snapshot_type.model_validate_json(snapshot_json)
        for gauge in self._spec.gauges:
            for sample in gauge.samples(snapshot):
                self._gauges[gauge.name].set(sample.value, tags=dict(sample.tags))

    def read(self) -> str | None:
        """Return the last snapshot as JSON, or None before the first."""
        return self._snapshot


def start_board(spec: BoardSpec[SnapshotT]) -> Any:
    """Start the board of this driver, in its Ray namespace; wait while an older one ends.

    Raises
    ------
    ClusterUnavailable
        if a board of this name lives on in the same namespace; it may end later
    """
    import ray

    deadline_s = time.monotonic() + NAME_IS_FREE_S
    namespace = ray.get_runtime_context().namespace  # of a driver; an actor may have another
    options = {"name": spec.name, "num_cpus": 0, "max_restarts": -1, "enable_task_events": False}
    while True:
        try:
            return ray.remote(Board).options(**options).remote(spec, namespace)
        except ValueError as error:
            # The name is taken: Ray still ends the board before, or another driver has one.
            if time.monotonic() > deadline_s:
                raise ClusterUnavailable(
                    f"another process has the name {spec.name} in the Ray namespace "
                    f"{namespace!r}, so nothing was taken over: stop it, "
                    "or wake it up if it sleeps (a paused process, a suspended machine). If both "
                    "shall run, give this one a namespace of its own (ray.namespace)"
                ) from error
            time.sleep(0.2)


def read_board(spec: BoardSpec[SnapshotT], settings: Settings) -> SnapshotT | None:
    """Return the last snapshot on a board, or None if there is no board or no snapshot.

    The caller is connected to Ray already.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError

    try:
        board = ray.get_actor(spec.name, namespace=settings.ray.namespace)
        text = ray.get(board.read.remote(), timeout=READ_TIMEOUT_S)
    except (ValueError, RayActorError, GetTimeoutError):
        return None
    return spec.snapshot_type.model_validate_json(text) if text is not None else None


def peek(address: str, settings: Settings, specs: Sequence[BoardSpec[Any]]) -> list[Any]:
    """Return the last snapshot of each board, without becoming a driver of the Ray cluster.

    A driver is a job in Ray's list, and connecting takes 2 s of CPU time; this takes 0.4 s. A
    snapshot stays after the end of its board: its `at` tells. None stands for a board that was
    never there.

    Parameters
    ----------
    address
        `host:port` of Ray's head; the environment names the token
    settings
        with the Ray namespace of the boards
    specs
        of the boards

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        Ray does not answer.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined] # compiled

    found: list[Any] = []
    with errors_of_ray():
        client = GcsClient(address=address)
        for spec in specs:
            key = _key(spec.name, settings.ray.namespace)
            text = client.internal_kv_get(key, _KV_NAMESPACE, timeout=READ_TIMEOUT_S)
            found.append(None if text is None else spec.snapshot_type.model_validate_json(text))
    return found


def _key(name: str, namespace: str) -> bytes:
    return f"{namespace}/{name}".encode()


def read_service_boards(settings: Settings) -> tuple[ServiceSnapshot, ...]:
    """Return the snapshots of all services that run live, by name.

    The caller is connected to Ray already, in the namespace of the settings.
    """
    import ray

    names = sorted(
        actor.removeprefix(_SERVICE_PREFIX).removesuffix(_SERVICE_SUFFIX)
        for actor in ray.util.list_named_actors()
        if actor.startswith(_SERVICE_PREFIX) and actor.endswith(_SERVICE_SUFFIX)
    )
    snapshots = (read_board(service_board(name), settings) for name in names)
    return tuple(snapshot for snapshot in snapshots if snapshot is not None)
