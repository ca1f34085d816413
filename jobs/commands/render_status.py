"""The output of `finkray status`: the tables of the pages, and the jobs on Ray."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from finkray.results.counts import ClassCounts
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.service import ServiceSnapshot
from finkray.text import duration_text, time_text, visible_text
from jobs.cluster.connect import Cluster
from jobs.cluster.job import Job
from jobs.commands.store_status import StoreStatus, store_lines
from jobs.commands.unexpected_ends import EndedJob, ended_cards
from ui.kit.elements import Cell, Column, Table
from ui.kit.reading import Reading
from ui.kit.terminal import alarm_text, banner_text, facts_text, figures_text, table_text
from ui.views.archive import alarm_cards, archive_banner, archive_facts, figures
from ui.views.archive_tables import (
    actors_table,
    balance_table,
    dead_letters_table,
    latency_table,
    micro_batches_table,
    partitions_table,
    past_alarms_table,
    visits_table,
)
from ui.views.at_rest import at_rest_banner
from ui.views.classes import classes_table
from ui.views.services import pause_cards, services_table

_PARTITIONS_SHOWN: Final = 24
"""ZTF's topics have 16 partitions; a terminal has some forty lines. `--json` has them all."""

_VISITS_SHOWN: Final = 6
"""Three minutes of LSST; `--json` has more."""

_PAST_ALARMS_SHOWN: Final = 4

_CLASSES_SHOWN: Final = 12
"""The page has all, and so does `--json`."""

NO_STORE: Final = StoreStatus()
"""Of an archive without HATS nights and object index."""


def status_json(
    cluster: Cluster | None,
    jobs: Sequence[Job],
    snapshot: Snapshot | None,
    services: Sequence[ServiceSnapshot] = (),
    *,
    classes: Sequence[ClassCounts] = (),
    ended: Sequence[EndedJob] = (),
    at_rest: ArchiveAtRest | None = None,
    store: StoreStatus = NO_STORE,
) -> dict[str, Any]:
    """Return what `finkray status --json` prints; `snapshot` is null when no archive runs.

    `archive_at_rest` is then what its folder tells: never started, stopped or died.
    """
    return {
        "cluster": None
        if cluster is None
        else {
            "address": cluster.address,
            "dashboard_url": cluster.local.dashboard_url if cluster.local else None,
            "local": cluster.local is not None,
        },
        "services": [
            {
                "name": job.name,
                "job_id": job.job_id,
                "status": job.status,
                "since": job.since.isoformat(),
            }
            for job in jobs
        ],
        "ended_unexpectedly": [job.to_json() for job in ended],
        "archive_at_rest": None if at_rest is None else at_rest.to_json(),
        "snapshot": None if snapshot is None else snapshot.model_dump(mode="json"),
        "own_services": [service.model_dump(mode="json") for service in services],
        "classes": [counts.model_dump(mode="json", exclude={"cursor"}) for counts in classes],
        **store.to_json(),
    }


def status_text(
    cluster: Cluster | None,
    jobs: Sequence[Job],
    snapshot: Snapshot | None,
    now: datetime,
    services: Sequence[ServiceSnapshot] = (),
    *,
    classes: Sequence[ClassCounts] = (),
    ended: Sequence[EndedJob] = (),
    at_rest: ArchiveAtRest | None = None,
    store: StoreStatus = NO_STORE,
    notes: Sequence[str] = (),
) -> RenderableType:
    """Return what `finkray status` prints: jobs, those that ended, services, classes, archive."""
    blocks = [_jobs(cluster, jobs, now, ended), *map(alarm_text, ended_cards(ended))]
    blocks += [Text(visible_text(note)) for note in notes]
    if at_rest is not None:
        blocks.append(banner_text("archive", at_rest_banner(at_rest, now)))
    if lines := store_lines(store, now):
        blocks.append(Text(visible_text("\n".join(lines))))
    if services:
        blocks += map(alarm_text, pause_cards(services))
        blocks.append(table_text(services_table(services, now)))
    for counts in classes:
        if night := counts.latest:
            age = duration_text((now - counts.at).total_seconds())
            name = f"{counts.name} {counts.version}"
            title = f"{name}, classes of the night of {night.night}, as of {age} ago"
            blocks.append(table_text(classes_table(title, night, _CLASSES_SHOWN)))
    if snapshot is not None:
        blocks += _archive(snapshot, now)
    first, *others = blocks
    return Group(first, *(line for block in others for line in (Text(), block)))


def _jobs(
    cluster: Cluster | None, jobs: Sequence[Job], now: datetime, ended: Sequence[EndedJob]
) -> RenderableType:
    if cluster is None and ended:
        return Text("nothing runs: the local Ray ended, and no command stopped it")
    if cluster is None:
        return Text("nothing runs; start it with: finkray start archive")
    title = f"Ray at {cluster.address}"
    if cluster.local:
        title += f", started by finkray; dashboard {cluster.local.dashboard_url}"
    return table_text(
        Table(
            title,
            tuple(Column(name) for name in ("job", "id", "status", "since", "for")),
            tuple(
                (
                    Cell(job.name),
                    Cell(job.job_id),
                    Cell(job.status),
                    Cell(time_text(job.since)),
                    Cell(duration_text((now - job.since).total_seconds())),
                )
                for job in jobs
            ),
            "no job of finkray runs",
        )
    )


def _archive(snapshot: Snapshot, now: datetime) -> Iterator[RenderableType]:
    yield banner_text("archive", archive_banner(Reading(snapshot, now), now))
    yield from map(alarm_text, alarm_cards(snapshot, now))
    yield figures_text("now", figures(snapshot))
    yield facts_text(archive_facts(snapshot))
    tables = (
        balance_table(snapshot.balance),
        latency_table(snapshot.latency),
        visits_table(snapshot.visits, _VISITS_SHOWN),
        past_alarms_table(snapshot.past_alarms, _PAST_ALARMS_SHOWN),
        dead_letters_table(snapshot.dead_letters_by_reason),
        micro_batches_table(snapshot.micro_batch),
        actors_table(snapshot.actors),
        partitions_table(snapshot.partitions, _PARTITIONS_SHOWN),
    )
    yield from (table_text(table) for table in tables if table.rows)
