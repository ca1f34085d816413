"""Make the stream of packets that the settings describe: survey, schema versions, trouble."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from finkray.settings.simulator import SimulatorSettings
from sim.maker import Maker
from sim.player.pace import Pace
from sim.player.sources import Packet, from_files, made
from sim.player.trouble import Trouble, troubled
from sim.surveys import SURVEYS, SimulatedSurvey


def night(settings: SimulatorSettings, schema_folder: Path | None = None) -> Iterator[Packet]:
    """Yield the packets that the settings describe.

    Parameters
    ----------
    settings
        The settings.
    schema_folder
        Where the schemas of LSST's packets are written that are played from files; None plays them
        in containers.

    Raises
    ------
    SettingsError
        There are no packets to play.
    """
    pace = Pace.parse(settings.pace, settings.visit_s)
    survey = SURVEYS[settings.survey]
    if settings.data:
        packets = from_files(
            Path(settings.data),
            in_order=pace.follows_time,
            survey=settings.survey,
            schema_folder=schema_folder,
        )
    elif settings.schema_bump:
        old = _maker(survey, survey.old_version, settings)
        new = _maker(survey, survey.new_version, settings)
        packets = made(old, new, _bump_due(settings.schema_bump))
    else:
        packets = made(_maker(survey, survey.default_version, settings))
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


def _maker(survey: SimulatedSurvey, version: str, settings: SimulatorSettings) -> Maker:
    return survey.maker(
        settings.seed,
        schema_version=version,
        alerts_per_visit=settings.alerts_per_visit,
        plane_alerts=settings.plane_alerts,
        strange_percent=settings.strange,
    )


def _bump_due(when: str) -> Callable[[int], bool]:
    if when.isdecimal():
        return lambda sent: sent >= int(when)
    moment = datetime.fromisoformat(when)
    return lambda _: datetime.now(UTC) >= moment


def _other_survey(settings: SimulatorSettings) -> bytes:
    """Return an alert of another survey than the one that is played."""
    other = next(survey for name, survey in SURVEYS.items() if name != settings.survey)
    maker = other.maker(
        settings.seed, schema_version=other.default_version, alerts_per_visit=5, plane_alerts=None
    )
    return next(maker.alerts()).packet
