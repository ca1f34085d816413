"""The surveys that the simulator can play, by their names in the settings.

A further survey is a folder beside `sim/ztf/` and `sim/lsst/` with a maker of alerts, an entry
here, and its name in `finkray.settings.simulator`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sim.lsst.alerts import LsstMaker
from sim.lsst.schema import write_schemas
from sim.maker import Maker
from sim.ztf.alerts import ZtfMaker


class MakerType(Protocol):
    """A class that makes the alerts of a survey, as `sim.ztf.alerts.ZtfMaker`."""

    def __call__(
        self,
        seed: int,
        *,
        schema_version: Any,
        alerts_per_visit: int,
        plane_alerts: int | None,
        strange_percent: float = 0.0,
    ) -> Maker:
        """Create the maker; its parameters are those of `sim.ztf.alerts.ZtfMaker`."""
        ...


@dataclass(frozen=True, slots=True)
class SimulatedSurvey:
    """How the alerts of a survey are made.

    Attributes
    ----------
    maker
        creates a maker of its alerts
    old_version, new_version
        versions of its schema: the setting `schema_bump` goes from the first to the second
    default_version
        the version without `schema_bump`
    write_schemas
        writes its schemas to a folder, for readers of packets that name theirs by id; None if each
        packet has its schema
    """

    maker: MakerType
    old_version: str
    new_version: str
    default_version: str
    write_schemas: Callable[[Path], None] | None = None


SURVEYS: Final[Mapping[str, SimulatedSurvey]] = {
    "ztf": SimulatedSurvey(ZtfMaker, "3.3", "4.02", default_version="4.02"),
    "lsst": SimulatedSurvey(
        LsstMaker, "10.0", "11.0", default_version="10.0", write_schemas=write_schemas
    ),
}
