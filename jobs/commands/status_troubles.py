"""Find what is wrong, for `finkray status --check`."""

from collections.abc import Sequence
from datetime import datetime

from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import StreamoutSnapshot
from jobs.cluster.unexpected_ends import EndedJob
from ui.kit.reading import Reading
from ui.views.archive import archive_banner
from ui.views.services import is_silent
from ui.views.streamout import streamout_cards


def troubles(
    snapshot: Snapshot | None,
    now: datetime,
    services: Sequence[ServiceSnapshot] = (),
    *,
    ended: Sequence[EndedJob] = (),
    at_rest: ArchiveAtRest | None = None,
    streamout: StreamoutSnapshot | None = None,
) -> tuple[str, ...]:
    """Return what `finkray status --check` finds wrong, a line each; () if all is well."""
    found = [f"job {each.job.name} ended without being stopped" for each in ended]
    if at_rest is not None or snapshot is None:
        state = "does not report" if at_rest is None else at_rest.state.replace("_", " ")
        found.append(f"archive: {state}")
        if at_rest is not None and at_rest.problem:
            found.append(f"archive cannot start: {at_rest.problem}")
    else:
        banner = archive_banner(Reading(snapshot, now), now)
        if banner.level != "good" and not snapshot.alarms:
            found.append(f"archive: {banner.headline}")
        found += [f"alarm {alarm.code}: {alarm.message}" for alarm in snapshot.alarms]
        if snapshot.balance.difference:
            found.append(f"difference: {snapshot.balance.difference} offsets")
    for service in services:
        if service.breaker != "closed":
            found.append(f"service {service.name} is paused: {service.last_fault}")
        elif is_silent(service, now):
            found.append(f"service {service.name} does not report")
    if streamout is not None:
        alarms = streamout_cards(streamout, now)
        found += [f"alarm {alarm.code}: {alarm.message}" for alarm in alarms]
    return tuple(found)
