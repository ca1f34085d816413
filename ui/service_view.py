"""What the page on services shows, worked out from their snapshots: pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from finkray.status.archive import State
from finkray.status.service import ServiceSnapshot
from finkray.text import bytes_text, count_text, duration_text, rate_text
from ui.tables import Cell, Level, Table
from ui.view import STALE_AFTER_S, AlarmCard, Banner, Reading, unheard

SERVICE_HINT: Final = "no service runs; start one with: finkray start classify"

_LEVEL: Final[dict[State, Level]] = {
    "starting": "warn",
    "running": "good",
    "draining": "warn",
    "stopped": "quiet",
    "failed": "bad",
}

_COLUMNS: Final = (
    "service",
    "version",
    "state",
    "breaker",
    "actors",
    "waiting",
    "behind",
    "alerts/s",
    "alerts/s a core",
    "batch p99",
    "latency p99",
    "memory",
    "errors",
    "results",
)


def service_banner(reading: Reading[tuple[ServiceSnapshot, ...]], now: datetime) -> Banner:
    """How many services run, and how many of them are in trouble."""
    silent = unheard(reading, now)
    if silent is not None:
        return silent
    services = reading.snapshot or ()
    if not services:
        return Banner("quiet", SERVICE_HINT)
    paused = sum(one.breaker != "closed" for one in services)
    gone = sum(_is_old(one, now) for one in services)
    details = [
        *([f"{paused} paused, for nothing succeeds"] if paused else []),
        *([f"{gone} silent"] if gone else []),
    ]
    number = f"{len(services)} service{'s' if len(services) > 1 else ''}"
    return Banner("bad" if paused or gone else "good", number, tuple(details), paused + gone)


def pauses(services: Sequence[ServiceSnapshot]) -> tuple[AlarmCard, ...]:
    """A card for each service whose breaker is not closed."""
    return tuple(
        AlarmCard(
            code="service-paused",
            since="",
            message=f"{one.name} pauses: {one.last_fault}",
            what_to_do="nothing succeeds, so it rests and tries again by itself, and no alert is "
            f"lost. What breaks it: finkray service check {one.spec} --archive",
        )
        for one in services
        if one.breaker != "closed"
    )


def services_table(services: Sequence[ServiceSnapshot], now: datetime) -> Table:
    """What each service does, and what it costs."""
    return Table(
        "services",
        _COLUMNS,
        tuple(_row(one, now) for one in services),
        "none runs",
        "rates, p99 and memory are of the last minute; waiting and behind: durable, without result",
    )


def _row(one: ServiceSnapshot, now: datetime) -> tuple[Cell, ...]:
    errors = one.by_status.get("error", 0)
    silent = f"silent for {duration_text((now - one.at).total_seconds())}"
    return (
        Cell(one.name),
        Cell(one.version),
        Cell(silent, "bad") if _is_old(one, now) else Cell(one.state, _LEVEL[one.state]),
        Cell(one.breaker.replace("_", " "), "quiet" if one.breaker == "closed" else "bad"),
        Cell(f"{one.actors} of {one.actors_wanted}", number=True),
        Cell(count_text(one.waiting) + ("+" if one.waiting_more else ""), number=True),
        Cell(duration_text(one.behind_s), number=True),
        Cell(rate_text(one.alerts_per_s), number=True),
        Cell(rate_text(one.alerts_per_s_a_core), number=True),
        Cell(duration_text(one.batch_p99_s), number=True),
        Cell(duration_text(one.latency_p99_s), number=True),
        Cell(bytes_text(one.memory_bytes), number=True),
        Cell(count_text(errors), "warn" if errors else "quiet", number=True),
        Cell(count_text(one.results), number=True),
    )


def _is_old(one: ServiceSnapshot, now: datetime) -> bool:
    return one.state != "stopped" and (now - one.at).total_seconds() > STALE_AFTER_S
