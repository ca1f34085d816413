"""The services that run, as alarm cards and a table, from their snapshots."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from finkray.status.service import ServiceSnapshot
from finkray.text import bytes_text, count_text, duration_text, rate_text, time_text
from ui.kit.elements import AlarmCard, Cell, Column, Table
from ui.kit.reading import STALE_AFTER_S
from ui.views.archive import STATE_LEVEL

_COLUMNS: Final = (
    Column("service"),
    Column("version"),
    Column("state"),
    # On a terminal an alarm above the table says that a breaker is not closed.
    Column("breaker", detail=True),
    Column("actors", number=True),
    Column("waiting", number=True),
    Column("for inputs", number=True),
    Column("behind", number=True),
    Column("alerts/s", number=True),
    Column("alerts/s a core", number=True),
    Column("batch p99", number=True, detail=True),
    Column("latency p99", number=True),
    Column("memory", number=True, detail=True),
    Column("errors", number=True),
    Column("results", number=True),
)


def service_cards(services: Sequence[ServiceSnapshot], now: datetime) -> tuple[AlarmCard, ...]:
    """Return a card for each service that does not report, or whose circuit breaker is not closed.

    Parameters
    ----------
    services
        Their snapshots.
    now
        The time.
    """
    silent = (
        AlarmCard(
            code="service-silent",
            since=_since(service.at, now),
            message=f"{service.name} does not report",
            # What to type stands first: `finkray status` clips the advice where alarms are many.
            what_to_do=f"finkray logs {service.name} shows its log; finkray stop {service.name}, "
            f"then finkray start {service.spec}, begins it anew. Its process may hang, or has just "
            "ended; no alert is lost",
        )
        for service in services
        if is_silent(service, now)
    )
    paused = (
        AlarmCard(
            code="service-paused",
            since="" if service.breaker_since is None else _since(service.breaker_since, now),
            message=f"{service.name} is paused: {service.last_fault}",
            what_to_do=f"finkray service check {service.spec} --archive shows the failure. Every "
            "batch fails, so the service pauses, and retries by itself; no alert is lost",
        )
        for service in services
        if service.breaker != "closed" and not is_silent(service, now)
    )
    return (*paused, *silent)


def _since(at: datetime, now: datetime) -> str:
    return f"{time_text(at)} ({duration_text((now - at).total_seconds())})"


def services_table(services: Sequence[ServiceSnapshot], now: datetime) -> Table:
    """Return what each service does, and what it costs."""
    return Table(
        "services",
        _COLUMNS,
        tuple(_row(service, now) for service in services),
        "none runs",
        "rates, p99 and memory are of the last minute; waiting: durable alerts without a result; "
        "behind: age of the oldest of them; for inputs: alerts that wait for results of other "
        "services",
    )


def is_silent(service: ServiceSnapshot, now: datetime) -> bool:
    """Return whether a service has not reported for too long."""
    return service.state != "stopped" and (now - service.at).total_seconds() > STALE_AFTER_S


def _row(service: ServiceSnapshot, now: datetime) -> tuple[Cell, ...]:
    errors = service.by_status.get("error", 0)
    silent = f"silent for {duration_text((now - service.at).total_seconds())}"
    return (
        Cell(service.name),
        Cell(service.version),
        Cell(silent, "bad")
        if is_silent(service, now)
        else Cell(service.state, STATE_LEVEL[service.state]),
        Cell(service.breaker.replace("_", " "), "quiet" if service.breaker == "closed" else "bad"),
        Cell(f"{service.actors} of {service.actors_wanted}"),
        Cell(count_text(service.waiting) + ("+" if service.waiting_more else "")),
        Cell(
            count_text(service.waiting_for_inputs),
            "warn" if service.waiting_for_inputs else "quiet",
        ),
        Cell(duration_text(service.behind_s)),
        Cell(rate_text(service.alerts_per_s)),
        Cell(rate_text(service.alerts_per_s_a_core)),
        Cell(duration_text(service.batch_p99_s)),
        Cell(duration_text(service.latency_p99_s)),
        Cell(bytes_text(service.memory_bytes)),
        Cell(count_text(errors), "warn" if errors else "quiet"),
        Cell(count_text(service.results)),
    )
