"""The page on services: what each does, and what it costs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from finkray.status.service import ServiceSnapshot
from ui.kit.elements import Banner, Level
from ui.kit.markup import alarms_html, banner_html, table_html
from ui.kit.offline_gradio import gr
from ui.kit.page import Page, PageInputs
from ui.kit.reading import Reading, failure_banner
from ui.sources import SERVICES
from ui.views.services import is_silent, service_cards, services_table

SERVICE_HINT: Final = "no service runs; start one with: finkray start classify"


def services_banner(reading: Reading[tuple[ServiceSnapshot, ...]], now: datetime) -> Banner:
    """Say how many services run, and how many of them are in trouble."""
    failure = failure_banner(reading, now, "the services")
    if failure is not None:
        return failure
    services = reading.value or ()
    if not services:
        return Banner("quiet", SERVICE_HINT)
    silent = sum(is_silent(service, now) for service in services)
    paused = len(service_cards(services, now)) - silent
    details = [
        *([f"{paused} paused because every batch fails"] if paused else []),
        *([f"{silent} silent"] if silent else []),
    ]
    headline = f"{len(services)} service{'s' if len(services) > 1 else ''}"
    level: Level = "bad" if paused or silent else "good"
    return Banner(level, headline, tuple(details), paused + silent)


def services_html(reading: Reading[tuple[ServiceSnapshot, ...]], now: datetime) -> str:
    """Return the whole page."""
    services = reading.value or ()
    return (
        banner_html(services_banner(reading, now))
        + alarms_html(service_cards(services, now))
        + "<div class='fr-below'></div>"
        + table_html(services_table(services, now), wide=True)
    )


def _build(_: gr.Blocks, inputs: PageInputs) -> None:
    latest = inputs.latest(SERVICES)

    def shown(_: Mapping[str, str]) -> tuple[str]:
        return (services_html(latest(), datetime.now(UTC)),)

    def services() -> list[dict[str, Any]]:
        """The snapshots of the services that run."""
        return [service.model_dump(mode="json") for service in latest().value or ()]

    gr.HTML(inputs.follow("services", shown)(0))
    gr.api(services, api_name="services", queue=False)


PAGE: Final = Page("/services", "Services", (SERVICES,), _build)
