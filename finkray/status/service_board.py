"""Where a service that runs live shows its last snapshot: a named Ray actor, and Ray metrics."""

from typing import Any

from finkray.settings.model import Settings
from finkray.status.board import READ_TIMEOUT_S, start_board
from finkray.status.service import ServiceSnapshot

_FIGURES = {
    "actors": "actors that are warm",
    "waiting": "alerts that are durable and have no result yet",
    "behind_s": "age of the oldest claim without results",
    "alerts_per_s": "alerts/s served",
    "alerts_per_s_a_core": "alerts for each second of CPU",
    "latency_p95_s": "seconds from the Kafka timestamp until the result is durable",
    "batch_p99_s": "seconds that a batch takes",
    "memory_bytes": "most that one process had of its own lately",
    "results": "rows in the store",
}


class ServiceBoard:
    """Keeps the last snapshot; made a Ray actor by the service's driver."""

    def __init__(self) -> None:
        from ray.util.metrics import Gauge

        self._snapshot: str | None = None
        keys = ("service",)
        self._gauges = {
            name: Gauge(f"finkray_service_{name}", description=text, tag_keys=keys)
            for name, text in _FIGURES.items()
        }
        self._breaker = Gauge(
            "finkray_service_breaker_open", description="1 while it pauses", tag_keys=keys
        )
        self._errors = Gauge(
            "finkray_service_errors", description="alerts with the status error", tag_keys=keys
        )

    def publish(self, snapshot_json: str) -> None:
        """Take a new snapshot."""
        self._snapshot = snapshot_json
        snapshot = ServiceSnapshot.model_validate_json(snapshot_json)
        tags = {"service": snapshot.name}
        for name, gauge in self._gauges.items():
            gauge.set(getattr(snapshot, name), tags=tags)
        self._breaker.set(float(snapshot.breaker != "closed"), tags=tags)
        self._errors.set(snapshot.by_status.get("error", 0), tags=tags)

    def read(self) -> str | None:
        """The last snapshot as JSON, or None before the first."""
        return self._snapshot


_BEFORE, _AFTER = "finkray-service-", "-board"


def board_name(name: str) -> str:
    """Of the board of a service."""
    return f"{_BEFORE}{name}{_AFTER}"


def start_service_board(name: str) -> Any:
    """Start the board of this driver; waits while an older one is dying.

    Raises
    ------
    SettingsError
        Another service has its results' name.
    """
    return start_board(ServiceBoard, board_name(name))


def read_service_snapshot(settings: Settings, name: str) -> ServiceSnapshot | None:
    """The snapshot of a service that runs live, if it does.

    The caller is connected to Ray already.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayActorError

    try:
        board = ray.get_actor(board_name(name), namespace=settings.ray.namespace)
        text = ray.get(board.read.remote(), timeout=READ_TIMEOUT_S)
    except (ValueError, RayActorError, GetTimeoutError):
        return None
    return ServiceSnapshot.model_validate_json(text) if text is not None else None


def read_service_snapshots(settings: Settings) -> tuple[ServiceSnapshot, ...]:
    """Those of all services that run live, by name.

    The caller is connected to Ray already, in the namespace of the settings.
    """
    import ray

    names = [
        one.removeprefix(_BEFORE).removesuffix(_AFTER)
        for one in ray.util.list_named_actors()
        if one.startswith(_BEFORE) and one.endswith(_AFTER)
    ]
    found = (read_service_snapshot(settings, name) for name in sorted(names))
    return tuple(one for one in found if one is not None)
