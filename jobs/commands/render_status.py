"""`finkray status` as a person reads it: tables made from the snapshot alone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from finkray.results.counts import ClassCounts, NightCounts
from finkray.status.archive import BalanceSheet, Snapshot
from finkray.status.service import ServiceSnapshot
from finkray.text import (
    bytes_text,
    count_text,
    durable_text,
    duration_text,
    rate_text,
    share_text,
    time_text,
)
from jobs.cluster.connect import Cluster
from jobs.cluster.ray_jobs import Job

_PARTITIONS_SHOWN = 24
"""ZTF's topics have 16 partitions; a terminal has some forty lines. `--json` has them all."""

_VISITS_SHOWN = 6
"""Three minutes of LSST; `--json` has more."""

_CLASSES_SHOWN = 12
"""The page has all, `--json` too."""

_STATE_STYLE = {
    "starting": "yellow",
    "running": "green",
    "draining": "yellow",
    "stopped": "dim",
    "failed": "bold red",
}


def status_json(
    cluster: Cluster | None,
    services: Sequence[Job],
    snapshot: Snapshot | None,
    own: Sequence[ServiceSnapshot] = (),
    *,
    classes: Sequence[ClassCounts] = (),
) -> dict[str, Any]:
    """What `finkray status --json` prints; `snapshot` is null when no archive runs."""
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
                "name": service.name,
                "job_id": service.job_id,
                "status": service.status,
                "since": service.since.isoformat(),
            }
            for service in services
        ],
        "snapshot": None if snapshot is None else snapshot.model_dump(mode="json"),
        "own_services": [one.model_dump(mode="json") for one in own],
        "classes": [one.model_dump(mode="json", exclude={"cursor"}) for one in classes],
    }


def status_text(
    cluster: Cluster | None,
    services: Sequence[Job],
    snapshot: Snapshot | None,
    now: datetime,
    own: Sequence[ServiceSnapshot] = (),
    *,
    classes: Sequence[ClassCounts] = (),
) -> RenderableType:
    """All that is known of the services, the most important first."""
    parts: list[RenderableType] = [_services(cluster, services, now)]
    if own:
        parts += [Text(), *_own(own)]
    for one in classes:
        if night := one.latest:
            parts += [Text(), *_classes(one, night, now)]
    if snapshot is not None:
        for part in _archive(snapshot, now):
            parts += [Text(), part]
    return Group(*parts)


def _services(cluster: Cluster | None, services: Sequence[Job], now: datetime) -> RenderableType:
    if cluster is None:
        return Text("nothing runs; start it with: finkray start archive")
    place = f"Ray at {cluster.address}"
    if cluster.local:
        place += f", our own; dashboard {cluster.local.dashboard_url}"
    if not services:
        return Text(f"{place}: no service of finkray runs")
    table = _table(place, "service", "job", "status", "since", "for")
    for service in services:
        age = duration_text((now - service.since).total_seconds())
        table.add_row(service.name, service.job_id, service.status, time_text(service.since), age)
    return table


def _own(services: Sequence[ServiceSnapshot]) -> Iterator[RenderableType]:
    for one in services:
        if one.breaker != "closed":
            yield Text.assemble(
                (f"{one.name} PAUSES", "bold red"),
                f": nothing succeeds, the last was {one.last_fault}; it is tried again by itself",
            )
    table = _table(
        "services",
        "name",
        "version",
        "",
        "actors",
        "waiting",
        "behind",
        "alerts/s",
        "a core",
        "p99",
        "errors",
        "results",
    )
    for one in services:
        table.add_row(
            one.name,
            one.version,
            Text(one.state, _STATE_STYLE[one.state]),
            f"{one.actors} of {one.actors_wanted}",
            count_text(one.waiting) + ("+" if one.waiting_more else ""),
            duration_text(one.behind_s),
            rate_text(one.alerts_per_s),
            rate_text(one.alerts_per_s_a_core),
            duration_text(one.latency_p99_s),
            count_text(one.by_status.get("error", 0)),
            count_text(one.results),
        )
    yield table


def _classes(
    counts: ClassCounts, night: NightCounts, now: datetime
) -> tuple[RenderableType, RenderableType]:
    age = duration_text((now - counts.at).total_seconds())
    title = (
        f"{counts.name} {counts.version}, classes of the night of {night.night}, as of {age} ago"
    )
    table = _table("", "class", "alerts", "share")
    for name, alerts in [*night.classes.items()][:_CLASSES_SHOWN]:
        table.add_row(name, count_text(alerts), share_text(alerts, night.alerts))
    if left := [*night.classes.values()][_CLASSES_SHOWN:]:
        more = f"{len(left)} more classes"
        table.add_row(more, count_text(sum(left)), share_text(sum(left), night.alerts))
    return Text(title, "bold"), table


def _archive(snapshot: Snapshot, now: datetime) -> Iterator[RenderableType]:
    yield Text.assemble(
        ("archive ", "bold"),
        (snapshot.state, _STATE_STYLE[snapshot.state]),
        f", version {snapshot.version}, epoch {snapshot.epoch}, since "
        f"{time_text(snapshot.started_at)}; as of "
        f"{duration_text((now - snapshot.at).total_seconds())} ago",
    )
    for alarm in snapshot.alarms:
        yield Text.assemble(
            (f"ALARM {alarm.code}", "bold red"),
            f" since {time_text(alarm.since)}: {alarm.message}\n      {alarm.what_to_do}",
        )
    yield _facts(snapshot)
    yield balance_table(snapshot.balance)
    if snapshot.latency:
        yield _latency(snapshot)
    if snapshot.visits:
        yield _visits(snapshot)
    if snapshot.dead_letters_by_reason:
        yield _dead_letters(snapshot.dead_letters_by_reason)
    if snapshot.actors:
        yield _actors(snapshot)
    if snapshot.partitions:
        yield _partitions(snapshot)


def _facts(snapshot: Snapshot) -> Table:
    table = _table("now", "", "", header=False)
    incoming = f"{rate_text(snapshot.incoming_per_s)} alerts/s"
    table.add_row("incoming", f"{incoming}, {bytes_text(snapshot.incoming_bytes_per_s)}/s")
    table.add_row("archiving", f"{rate_text(snapshot.archived_per_s)} alerts/s")
    table.add_row("lag", f"{count_text(snapshot.lag)} alerts")
    if snapshot.backlog:
        table.add_row("backlog", f"{count_text(snapshot.backlog)} alerts, brought in beside it")
    limit = bytes_text(snapshot.held_bytes_limit)
    table.add_row("held", f"{bytes_text(snapshot.held_bytes)} of {limit}")
    if batch := snapshot.micro_batch:
        table.add_row(
            "micro-batches",
            f"{count_text(batch.batches)}; p50 {duration_text(batch.p50_duration_s)}, "
            f"p95 {duration_text(batch.p95_duration_s)}; last {count_text(batch.last_rows)} rows "
            f"in {duration_text(batch.last_duration_s)}",
        )
    table.add_row("from", snapshot.bootstrap_servers)
    table.add_row("to", snapshot.archive_uri)
    return table


def balance_table(balance: BalanceSheet, title: str = "balance sheet") -> Table:
    """The sheet, with its difference marked if it is not 0."""
    table = _table(title, "", "offsets", header=False)
    table.columns[1].justify = "right"
    for name in ("received", "archived", "dead_lettered", "expired", "not_delivered"):
        table.add_row(name.replace("_", " "), count_text(getattr(balance, name)))
    difference = count_text(balance.difference)
    table.add_row("difference", Text(difference, "bold red" if balance.difference else "green"))
    table.add_row("waiting", count_text(balance.waiting))
    return table


def _latency(snapshot: Snapshot) -> Table:
    table = _table("from the Kafka timestamp until", "stage", "p50", "p95", "p99", "alerts")
    for stage in snapshot.latency:
        times = (duration_text(value) for value in (stage.p50_s, stage.p95_s, stage.p99_s))
        table.add_row(stage.stage, *times, count_text(stage.alerts))
    return table


def _visits(snapshot: Snapshot) -> Table:
    columns = (
        "visit",
        "survey",
        "alerts",
        "detectors",
        "first came",
        "last after",
        "durable after",
    )
    table = _table("the last visits, arrivals by the Kafka timestamp", *columns)
    for visit in snapshot.visits[:_VISITS_SHOWN]:
        table.add_row(
            str(visit.visit),
            visit.survey,
            count_text(visit.alerts),
            count_text(visit.detectors),
            time_text(visit.first_arrival) if visit.first_arrival else "?",
            "?" if visit.spread_s is None else duration_text(visit.spread_s),
            durable_text(visit.waiting, visit.durable_s),
        )
    return table


def _dead_letters(reasons: Mapping[str, int]) -> Table:
    table = _table("dead letters", "number", "reason")
    for reason, number in sorted(reasons.items(), key=lambda item: -item[1]):
        table.add_row(count_text(number), reason)
    return table


def _actors(snapshot: Snapshot) -> Table:
    table = _table("ingest actors", "actor", "node", "held", "limit", "claims", "restarts", "")
    for actor in snapshot.actors:
        table.add_row(
            actor.name,
            actor.node_id[:8],
            bytes_text(actor.held_bytes),
            bytes_text(actor.held_bytes_limit),
            count_text(actor.claims_held),
            count_text(actor.restarts),
            Text("paused", "yellow") if actor.paused else "",
        )
    return table


def _partitions(snapshot: Snapshot) -> Table:
    columns = ("topic", "partition", "durable up to", "in Kafka", "lag", "backlog", "actor")
    table = _table("partitions", *columns)
    slowest = sorted(snapshot.partitions, key=lambda place: -place.lag - place.backlog)
    slowest = slowest[:_PARTITIONS_SHOWN]
    if len(slowest) < len(snapshot.partitions):
        table.title = f"the {len(slowest)} of {len(snapshot.partitions)} partitions that lag most"
    for place in sorted(slowest, key=lambda place: (place.topic, place.partition)):
        known = place.high_watermark >= 0
        table.add_row(
            place.topic,
            str(place.partition),
            count_text(place.frontier),
            count_text(place.high_watermark) if known else "?",
            count_text(place.lag) if known else "?",
            count_text(place.backlog),
            place.actor or "",
        )
    return table


def _table(title: str, *columns: str, header: bool = True) -> Table:
    table = Table(
        *columns,
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=header,
        header_style="dim",
        padding=(0, 2, 0, 0),
    )
    for column in table.columns:
        column.overflow = "fold"
    return table
