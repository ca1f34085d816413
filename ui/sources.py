"""All that the page asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts, NightCounts
from finkray.status.archive import Snapshot
from finkray.status.service import ServiceSnapshot


class Classes(Protocol):
    """Counts by class and night, and the alerts behind them; `ui.classes.ClassSource` is one."""

    def counts(self) -> tuple[ClassCounts, ...]:
        """Of all results that have classes."""

    def newest(
        self, counts: ClassCounts, night: NightCounts, name: str
    ) -> tuple[ClassifiedAlert, ...]:
        """The newest alerts of a class in a night."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Each may take its time and may raise.

    Attributes
    ----------
    status
        the archive's newest snapshot; None when no archive has said anything
    services
        the snapshots of the services that run
    classes
        what they said
    """

    status: Callable[[], Snapshot | None]
    services: Callable[[], tuple[ServiceSnapshot, ...]]
    classes: Classes
