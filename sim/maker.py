"""What a maker of alerts is, whatever its survey, and what it makes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Protocol

from finkray.errors import SettingsError
from sim.sky.kinds import Kind

MOST_PER_VISIT = 100_000


@dataclass(frozen=True, slots=True)
class MadeAlert:
    """One alert, and the truth about it.

    Attributes
    ----------
    packet
        The Avro object container, as it goes over the wire.
    candid, object_id, jd, ra_deg, dec_deg, filter_id
        As in the packet.
    kind, source
        What it is of, and which one: for an asteroid the number of the body, which has
        another `object_id` in each visit; else the `object_id`.
    visit
        The number of the visit among those that the maker makes, counted from 0.
    schema_version
        Of the packet.
    period_days, event_jd
        Of what has a period; of a supernova's beginning or a lens's closest approach (UTC).
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
    """What makes alerts: `sim.ztf.alerts.ZtfMaker`, `sim.lsst.alerts.LsstMaker`."""

    def alerts(self, first_visit: int = 0) -> Iterator[MadeAlert]:
        """All alerts from a visit on."""
        ...


def refuse_impossible(
    seed: int, schema_version: str, known_versions: Sequence[str], *alerts_per_visit: int
) -> None:
    """See that a maker's arguments are what they can be.

    Raises
    ------
    SettingsError
        One is not.
    """
    if schema_version not in known_versions:
        known = ", ".join(known_versions)
        raise SettingsError(f"schema version {schema_version}: it can be one of {known}")
    for number in alerts_per_visit:
        if not 1 <= number <= MOST_PER_VISIT:
            raise SettingsError(f"{number} alerts a visit: from 1 to {MOST_PER_VISIT}")
    if seed < 0:
        raise SettingsError(f"seed {seed}: it may not be negative")
