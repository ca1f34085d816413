"""The interface of a maker of alerts, the same for every survey, and the alerts that it makes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Protocol

from finkray.errors import SettingsError
from sim.sky.kinds import Kind

MOST_PER_VISIT = 100_000


@dataclass(frozen=True, slots=True)
class MadeAlert:
    """A simulated alert, and the truth about its object.

    Attributes
    ----------
    packet
        The message, as it goes over the wire.
    candid, object_id, jd, ra_deg, dec_deg, filter_id
        As in the packet (of LSST `candid` is the `diaSourceId`).
    kind, source
        The type of the object, and its identity: for an asteroid the number of the body, which
        has another `object_id` in each visit; else the `object_id`.
    visit
        The number of the visit among those that the maker makes, counted from 0.
    schema_version
        The version of the packet's schema.
    period_days, event_jd
        The period of a periodic object; the time of an event as in
        `sim.sky.population.Population.event_jd` (UTC). Else None.
    """

    packet: bytes
    candid: int
    object_id: str
    jd: float
    ra_deg: float
    dec_deg: float
    filter_id: int
    kind: Kind
    source: str
    visit: int = dataclass_field(compare=False)
    schema_version: str
    period_days: float | None
    event_jd: float | None


class Maker(Protocol):
    """Makes alerts: `sim.ztf.alerts.ZtfMaker`, `sim.lsst.alerts.LsstMaker`."""

    def alerts(self, first_visit: int = 0) -> Iterator[MadeAlert]:
        """Yield all alerts from a visit on, without end."""
        ...


def refuse_impossible(
    seed: int, schema_version: str, known_versions: Sequence[str], *alerts_per_visit: int
) -> None:
    """Check the arguments of a maker.

    Raises
    ------
    SettingsError
        An argument is not allowed.
    """
    if schema_version not in known_versions:
        known = ", ".join(known_versions)
        raise SettingsError(f"schema version {schema_version} is not known: use one of {known}")
    for number in alerts_per_visit:
        if not 1 <= number <= MOST_PER_VISIT:
            raise SettingsError(f"{number} alerts a visit: use 1 to {MOST_PER_VISIT}")
    if seed < 0:
        raise SettingsError(f"seed {seed} is negative: use 0 or more")
