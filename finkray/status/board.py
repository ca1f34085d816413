"""The board: a named Ray actor with the archive's last snapshot, for everybody who asks.

It ends with the archive's driver, and is started again if it dies before: the driver's next
snapshot is all that it needs. It also shows the snapshot's figures as Ray metrics
(`ray_finkray_…` on each node's metrics port).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from finkray.errors import SettingsError
from finkray.status.archive import Snapshot

if TYPE_CHECKING:  # 0.15 s to load, in an actor that has no use for them
    from finkray.settings.model import Settings

BOARD_NAME = "finkray-archive-board"

NAME_IS_FREE_S = 30.0
"""After a driver's end Ray needs a second or two to end its actors."""

READ_TIMEOUT_S = 5.0
"""The board does nothing but keep a string: one that is silent for so long is being torn down."""


class Board:
    """Keeps the last snapshot; made a Ray actor by the driver."""

    def __init__(self) -> None:
        from ray.util.metrics import Gauge

        self._snapshot: str | None = None
        self._gauges = {
            name: Gauge(f"finkray_{name}", description=description)
            for name, description in (
                ("incoming_per_s", "alerts/s taken from Kafka"),
                ("archived_per_s", "alerts/s made durable"),
                ("lag", "offsets that the live lanes are behind Kafka"),
                ("backlog", "offsets that the backfills have still to bring in"),
                ("held_bytes", "bytes held by the ingest actors"),
                ("received", "offsets accounted for, of all time"),
                ("archived", "alerts in the archive"),
                ("dead_lettered", "dead letters in the archive"),
                ("difference", "offsets that are not accounted for"),
                ("alarms", "alarms that are raised"),
            )
        }
        self._latency = Gauge(
            "finkray_latency_s",
            description="seconds from the Kafka timestamp to a stage",
            tag_keys=("stage", "quantile"),
        )

    def publish(self, snapshot_json: str) -> None:
        """Take a new snapshot."""
        self._snapshot = snapshot_json
        snapshot = Snapshot.model_validate_json(snapshot_json)
        figures = {
            "incoming_per_s": snapshot.incoming_per_s,
            "archived_per_s": snapshot.archived_per_s,
            "lag": snapshot.lag,
            "backlog": snapshot.backlog,
            "held_bytes": snapshot.held_bytes,
            "received": snapshot.balance.received,
            "archived": snapshot.balance.archived,
            "dead_lettered": snapshot.balance.dead_lettered,
            "difference": snapshot.balance.difference,
            "alarms": len(snapshot.alarms),
        }
        for name, value in figures.items():
            self._gauges[name].set(value)
        for stage in snapshot.latency:
            for quantile, value in (
                ("0.5", stage.p50_s),
                ("0.95", stage.p95_s),
                ("0.99", stage.p99_s),
            ):
                self._latency.set(value, tags={"stage": stage.stage, "quantile": quantile})

    def read(self) -> str | None:
        """The last snapshot as JSON, or None before the first."""
        return self._snapshot


def start_board(kind: type = Board, name: str = BOARD_NAME) -> Any:
    """Start the board of this driver, in its namespace; waits while an older one is dying.

    Raises
    ------
    SettingsError
        Another one lives in the same namespace.
    """
    import ray

    deadline_s = time.monotonic() + NAME_IS_FREE_S
    options = {"name": name, "num_cpus": 0, "max_restarts": -1, "enable_task_events": False}
    while True:
        try:
            return ray.remote(kind).options(**options).remote()
        except ValueError as error:
            # The name is taken: Ray still tears down the one before, or it is another's.
            if time.monotonic() > deadline_s:
                raise SettingsError(
                    f"another one has the name {name} in the Ray namespace "
                    f"{ray.get_runtime_context().namespace!r}: give this one a namespace of its "
                    "own (ray.namespace)"
                ) from error
            time.sleep(0.2)


def read_snapshot(settings: Settings) -> Snapshot | None:
    """The snapshot of the archive that runs in the namespace of the settings, if one does.

    The caller is connected to Ray already.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError

    try:
        board = ray.get_actor(BOARD_NAME, namespace=settings.ray.namespace)
        text = ray.get(board.read.remote(), timeout=READ_TIMEOUT_S)
    except (ValueError, RayActorError, GetTimeoutError):
        return None
    return Snapshot.model_validate_json(text) if text is not None else None
