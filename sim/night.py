"""What is played: a survey's alerts in the order, the versions and the trouble asked for."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from finkray.settings.simulator import SimulatorSettings
from sim.alerts import AlertMaker
from sim.lsst_alerts import LsstMaker
from sim.pace import Pace
from sim.schema_lsst import LsstVersion
from sim.schema_ztf import Version
from sim.sources import Maker, Packet, from_files, made
from sim.trouble import Trouble, troubled

_ZTF: tuple[Version, Version] = ("3.3", "4.02")
_LSST: tuple[LsstVersion, LsstVersion] = ("10.0", "11.0")


def night(settings: SimulatorSettings) -> Iterator[Packet]:
    """The packets that the settings ask for.

    Raises
    ------
    SettingsError
        The packets to play are not there.
    """
    pace = Pace.parse(settings.pace, settings.visit_s)
    if settings.data:
        packets = from_files(Path(settings.data), in_order=pace.follows_time)
    elif settings.schema_bump:
        old, new = (_maker(settings, place) for place in (0, 1))
        packets = made(old, new, _has_come(settings.schema_bump))
    else:
        packets = made(_maker(settings, 0 if settings.survey == "lsst" else 1))
    trouble = Trouble(
        poison=settings.poison,
        duplicates=settings.duplicates,
        out_of_order=settings.out_of_order,
        late=settings.late,
        oversize=settings.oversize,
        oversize_bytes=settings.oversize_bytes,
    )
    wanted = itertools.islice(packets, settings.alerts or None)
    return troubled(wanted, trouble, lambda: _other_survey(settings), seed=settings.seed)


def _maker(settings: SimulatorSettings, place: int) -> Maker:
    """The maker of the first or the second of the survey's versions."""
    if settings.survey == "lsst":
        return LsstMaker(
            settings.seed,
            schema_version=_LSST[place],
            alerts_per_visit=settings.alerts_per_visit,
            plane_alerts=settings.plane_alerts,
        )
    return AlertMaker(
        settings.seed,
        schema_version=_ZTF[place],
        alerts_per_visit=settings.alerts_per_visit,
        plane_alerts=settings.plane_alerts,
    )


def _has_come(when: str) -> Callable[[int], bool]:
    if when.isdecimal():
        return lambda sent: sent >= int(when)
    moment = datetime.fromisoformat(when)
    return lambda _: datetime.now(UTC) >= moment


def _other_survey(settings: SimulatorSettings) -> bytes:
    other: Maker
    if settings.survey == "lsst":
        other = AlertMaker(settings.seed, alerts_per_visit=5)
    else:
        other = LsstMaker(settings.seed, alerts_per_visit=5)
    return next(other.alerts()).packet
