"""Render what `finkray status` prints: state, alarms and jobs first, then tables of the pages."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from finkray.results.counts import ClassCounts
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import StreamoutSnapshot
from finkray.text import (
    clipped,
    count_text,
    duration_text,
    rate_text,
    time_text,
    visible_text,
)
from jobs.cluster.connect import Cluster
from jobs.cluster.job import Job
from jobs.cluster.unexpected_ends import EndedJob, ended_cards
from jobs.commands.store_status import StoreStatus, store_lines
from ui.kit.elements import AlarmCard, Cell, Column, Table
from ui.kit.reading import Reading
from ui.kit.terminal import alarm_text, banner_text, facts_text, figures_text, table_text
from ui.views.archive import (
    alarm_cards,
    archive_banner,
    archive_facts,
    figures,
    kafka_away_since,
    last_visit_banner,
)
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
from ui.views.classes import class_shares, classes_table, shown_class
from ui.views.services import is_silent, service_cards, services_table
from ui.views.streamout import filters_table, groups_table, streamout_cards, streamout_line

_PARTITIONS_SHOWN: Final = 24
"""ZTF's topics have 16 partitions; a terminal has some forty lines. `--json` has them all."""

_VISITS_SHOWN: Final = 6
"""Three minutes of LSST; `--json` has more."""

_PAST_ALARMS_SHOWN: Final = 4

_CLASSES_SHOWN: Final = 12
"""The page has all, and so does `--json`."""

_ALARM_WIDTHS: Final = ((400, 300), (200, 200), (95, 140))
"""Characters of message and advice of each alarm, where one, two, or three and more are shown.
These numbers and those below add up to 35 lines of 100 columns; `--long` has all."""

_CLASSES_ON_A_LINE: Final = 5

_JOBS_SHOWN: Final = 6

_NAME_WIDTH: Final = 28

_NOTES_SHOWN: Final = 1


NO_STORE: Final = StoreStatus()
"""The status of an archive without HATS nights and without object index."""


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
    streamout: StreamoutSnapshot | None = None,
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
        "streamout": None if streamout is None else streamout.model_dump(mode="json"),
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
    streamout: StreamoutSnapshot | None = None,
    notes: Sequence[str] = (),
    long: bool = False,
) -> RenderableType:
    """Return what `finkray status` prints: state, alarms, last visit, figures, jobs, classes.

    Parameters
    ----------
    cluster, jobs
        The Ray cluster, and the jobs of finkray that run on it.
    snapshot
        Of the archive; None if it does not report.
    now
        The time.
    services
        Snapshots of the services that run.
    classes
        Counts by class and night.
    ended
        Jobs that ended without being stopped.
    at_rest
        How the archive is according to its folder, if it does not report.
    store
        HATS nights and object index of the archive.
    streamout
        Snapshot of streaming out; None if it does not run.
    notes
        Lines on jobs that were started again.
    long
        Show all tables; otherwise at most 35 lines on a terminal of 100 columns.
    """
    blocks = _head(cluster, snapshot, now, at_rest, ended)
    cards = _alarm_cards(snapshot, now, services, ended)
    if streamout is not None:
        cards = (*cards, *streamout_cards(streamout, now))
    if long:
        blocks += map(alarm_text, cards)
        if cluster is not None:
            blocks.append(_jobs(cluster, jobs, now))
        elif at_rest is not None:
            blocks.append(_nothing_runs(ended))
        blocks += _long(snapshot, now, services, classes)
        if streamout is not None:
            blocks += [table_text(table(streamout)) for table in (filters_table, groups_table)]
        blocks += [Text(visible_text(line)) for line in (*notes, *store_lines(store, now))]
        first, *others = blocks
        return Group(first, *(line for block in others for line in (Text(), block)))
    blocks += _short_alarms(cards)
    if snapshot is not None:
        blocks += _short_archive(snapshot, now)
    if cluster is not None:
        blocks += [Text(), jobs_table(cluster, jobs, services, now)]
    elif at_rest is not None:
        blocks.append(_nothing_runs(ended))
    blocks += [_one_line(note) for note in notes[:_NOTES_SHOWN]]
    blocks += [_one_line(line) for line in store_lines(store, now)]
    if streamout is not None:
        blocks.append(_one_line(streamout_line(streamout, now)))
    blocks += _short_classes(classes[: 2 if streamout is None else 1])
    blocks.append(Text("everything else: finkray status --long", "dim"))
    return Group(*blocks)


def jobs_table(
    cluster: Cluster,
    jobs: Sequence[Job],
    services: Sequence[ServiceSnapshot],
    now: datetime,
) -> RenderableType:
    """Return a line for each job: its state, since when, and of a service how far it is."""
    by_name = {service.name: service for service in services}
    rows = tuple(_job_row(job, by_name.get(job.name), now) for job in jobs[:_JOBS_SHOWN])
    title = f"Ray at {cluster.address}"
    if cluster.local:
        title += f", started by finkray; dashboard {cluster.local.dashboard_url}"
    columns = (
        Column("job"),
        Column("state"),
        Column("for", number=True),
        Column("waiting", number=True),
        Column("alerts/s", number=True),
        Column("latency p99", number=True),
        Column("errors", number=True),
    )
    more = f"and {len(jobs) - len(rows)} more" if len(jobs) > len(rows) else ""
    return table_text(Table(title, columns, rows, "no job of finkray runs", more))


def _job_row(job: Job, service: ServiceSnapshot | None, now: datetime) -> tuple[Cell, ...]:
    ran = Cell(duration_text((now - job.since).total_seconds()))
    name = Cell(clipped(job.name, _NAME_WIDTH))
    if service is None:
        return (name, Cell(job.status), ran, *(Cell("") for _ in range(4)))
    silent = is_silent(service, now)
    paused = service.breaker != "closed"
    state = "silent" if silent else "paused" if paused else service.state
    errors = service.by_status.get("error", 0)
    return (
        name,
        Cell(state, "bad" if silent or paused else "quiet"),
        ran,
        Cell(count_text(service.waiting) + ("+" if service.waiting_more else "")),
        Cell(rate_text(service.alerts_per_s)),
        Cell(duration_text(service.latency_p99_s)),
        Cell(count_text(errors), "warn" if errors else "quiet"),
    )


def _head(
    cluster: Cluster | None,
    snapshot: Snapshot | None,
    now: datetime,
    at_rest: ArchiveAtRest | None,
    ended: Sequence[EndedJob],
) -> list[RenderableType]:
    """Return the first line: the state of the archive."""
    if at_rest is not None:
        return [banner_text("archive", at_rest_banner(at_rest, now))]
    if snapshot is not None:
        return [banner_text("archive", archive_banner(Reading(snapshot, now), now))]
    if cluster is None:
        return [_nothing_runs(ended)]
    return [Text.assemble(("archive: ", "bold"), "no report")]


def _nothing_runs(ended: Sequence[EndedJob]) -> Text:
    if ended:
        return Text("nothing runs: the local Ray ended, and no command stopped it")
    return Text("nothing runs; start it with: finkray start archive")


def _alarm_cards(
    snapshot: Snapshot | None,
    now: datetime,
    services: Sequence[ServiceSnapshot],
    ended: Sequence[EndedJob],
) -> tuple[AlarmCard, ...]:
    of_archive = alarm_cards(snapshot, now) if snapshot is not None else ()
    return (*ended_cards(ended), *of_archive, *service_cards(services, now))


def _short_alarms(cards: Sequence[AlarmCard]) -> Iterator[RenderableType]:
    most = len(_ALARM_WIDTHS)
    widths = _ALARM_WIDTHS[min(max(len(cards), 1), most) - 1]
    for card in cards[:most]:
        message, advice = clipped(card.message, widths[0]), clipped(card.what_to_do, widths[1])
        yield alarm_text(replace(card, message=message, what_to_do=advice))
    if codes := [card.code for card in cards[most:]]:
        shown = ", ".join(codes[:8]) + (", …" if len(codes) > 8 else "")
        yield Text(f"and {len(codes)} more alarms: {visible_text(shown)}", "bold red")


def _short_archive(snapshot: Snapshot, now: datetime) -> Iterator[RenderableType]:
    visit = last_visit_banner(snapshot, now)
    if visit is not None:
        title, _, name = visit.headline.partition(": ")
        yield banner_text(title, replace(visit, headline=name))
    yield figures_text("", figures(snapshot), short=True)


def _short_classes(classes: Sequence[ClassCounts]) -> Iterator[RenderableType]:
    for counts in classes[:2]:
        if night := counts.latest:
            shares = class_shares(night)
            shown = ", ".join(
                f"{shown_class(share.name)} {share.share}" for share in shares[:_CLASSES_ON_A_LINE]
            )
            more = len(shares) - _CLASSES_ON_A_LINE
            more_text = f", and {more} more" if more > 0 else ""
            yield _one_line(f"{counts.name}, night of {night.night}: {shown}{more_text}")


def _one_line(text: str) -> Text:
    return Text(visible_text(text), no_wrap=True, overflow="ellipsis")


def _long(
    snapshot: Snapshot | None,
    now: datetime,
    services: Sequence[ServiceSnapshot],
    classes: Sequence[ClassCounts],
) -> Iterator[RenderableType]:
    if services:
        yield table_text(services_table(services, now))
    for counts in classes:
        if night := counts.latest:
            age = duration_text((now - counts.at).total_seconds())
            name = f"{counts.name} {counts.version}"
            title = f"{name}, classes of the night of {night.night}, as of {age} ago"
            yield table_text(classes_table(title, night, _CLASSES_SHOWN))
    if snapshot is not None:
        yield from _archive(snapshot, now)


def _jobs(cluster: Cluster, jobs: Sequence[Job], now: datetime) -> RenderableType:
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
    visit = last_visit_banner(snapshot, now)
    if visit is not None:
        yield banner_text("last visit", replace(visit, headline=visit.headline[12:]))
    yield figures_text("now", figures(snapshot))
    yield facts_text(archive_facts(snapshot))
    tables = (
        balance_table(snapshot.balance, kafka_away=kafka_away_since(snapshot) is not None),
        latency_table(snapshot.latency),
        visits_table(snapshot.visits, _VISITS_SHOWN),
        past_alarms_table(snapshot.past_alarms, _PAST_ALARMS_SHOWN),
        dead_letters_table(snapshot.dead_letters_by_reason),
        micro_batches_table(snapshot.micro_batch),
        actors_table(snapshot.actors),
        partitions_table(snapshot.partitions, _PARTITIONS_SHOWN),
    )
    yield from (table_text(table) for table in tables if table.rows)
