"""Commands about the archive: status, audit, check; and prepare, which makes its start faster."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from finkray.errors import LedgerCorrupt, StorageError
from finkray.host.exit_codes import CommandExit
from jobs.cli.common import AsJson, Config, command_context, config_file, console, examples

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""


@app.command(
    epilog=examples(
        "finkray status",
        "finkray status --json | jq .snapshot.lag",
    )
)
def status(config: Config = None, *, as_json: AsJson = False) -> None:
    """Show what runs, since when, how fast, how late, and what is wrong."""
    from finkray.ledger.at_rest import read_at_rest
    from finkray.status.board import ARCHIVE_BOARD, read_board, service_board
    from finkray.storage.opening import open_storage
    from jobs.cluster.archive import counts_of
    from jobs.cluster.connect import connected
    from jobs.cluster.local_ray import ended_local_ray
    from jobs.cluster.started_jobs import started_jobs
    from jobs.cluster.watcher_process import watcher_runs
    from jobs.commands.render_status import status_json, status_text
    from jobs.commands.store_status import StoreStatus, read_store_status
    from jobs.commands.unexpected_ends import ended_jobs, restart_notes
    from jobs.daemons.registry import jobs_on

    context = command_context(config)
    settings, cluster = context.settings, context.cluster()
    jobs, snapshot, services, reports = [], None, [], None
    started = started_jobs(context.state).values()
    try:
        classes = counts_of(settings)
    except StorageError as error:
        # The snapshot says what is wrong with the storage, and must be seen now of all times.
        classes = ()
        typer.echo(f"finkray: classes are not counted: {error}", err=True)
    if cluster:
        asked = jobs_on(cluster, context.state)
        jobs, reports = list(asked.running().values()), asked.reports()
        with connected(cluster, settings.ray):
            snapshot = read_board(ARCHIVE_BOARD, settings)
            found = (read_board(service_board(job.name), settings) for job in jobs if job.spec)
            services = [served for served in found if served is not None]
    address = cluster.address if cluster and not cluster.local else ""
    ended = ended_jobs(
        started,
        address,
        reports,
        ended_local_ray(context.state),
        watcher_runs=watcher_runs(context.state),
    )
    at_rest = None
    if snapshot is None:
        try:
            at_rest = read_at_rest(open_storage(settings.archive))
        except (StorageError, LedgerCorrupt) as error:
            typer.echo(f"finkray: how the archive is cannot be read: {error}", err=True)
    try:
        store = read_store_status(open_storage(settings.archive), context.state)
    except StorageError:  # said above, or by the snapshot
        store = StoreStatus()
    if as_json:
        status = status_json(
            cluster,
            jobs,
            snapshot,
            services,
            classes=classes,
            ended=ended,
            at_rest=at_rest,
            store=store,
        )
        typer.echo(json.dumps(status, indent=2))
    else:
        text = status_text(
            cluster,
            jobs,
            snapshot,
            datetime.now(UTC),
            services,
            classes=classes,
            ended=ended,
            at_rest=at_rest,
            store=store,
            notes=restart_notes(started, [job.job_id for job in jobs]),
        )
        console().print(text)


@app.command(
    epilog=examples(
        "finkray audit",
        "finkray audit --simulator",
        "finkray audit --deep 2026-11-24T01",
        "finkray audit --redrive",
    )
)
def audit(
    config: Config = None,
    *,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Compare with the simulator's Kafka.")
    ] = False,
    as_json: AsJson = False,
    deep: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE",
            help="Also read the files: all, a UTC day 2026-11-24, an hour 2026-11-24T01, A..B, or "
            "topic:partition:first-last.",
            show_default=False,
        ),
    ] = None,
    redrive: Annotated[
        bool,
        typer.Option(
            "--redrive", help="Archive missing ranges and files; the archive must not run."
        ),
    ] = False,
) -> None:
    """Check that every alert is accounted for once: in Kafka, the ledger and the files.

    Of published filters also: what each judged, and what it sent.
    """
    from jobs.cluster.simulated_kafka import meant_kafka
    from jobs.commands.audit import audit_now, filter_balances, redrive_now
    from jobs.commands.render_audit import audit_text

    context = command_context(config)
    command = "finkray audit --simulator"
    with meant_kafka(context.settings, context.state, command, simulator=simulator) as settings:
        if redrive:
            redrive_now(settings, context.progress.tell)
        report = audit_now(settings, deep)
        filters = filter_balances(settings)
    if as_json:
        sent = {each.name: each.to_json() for each in filters}
        typer.echo(json.dumps({**report.to_json(), "streamout": sent}, indent=2))
    else:
        console().print(audit_text(report))
        for each in filters:
            console().print(f"filter {each.text}", markup=False, soft_wrap=True)
    if report.exit_code == 0 and any(each.problem for each in filters):
        raise typer.Exit(CommandExit.NO)
    raise typer.Exit(report.exit_code)


@app.command(
    epilog=examples(
        "finkray check -c /etc/finkray.toml",
        "finkray check --simulator",
    )
)
def check(
    config: Config = None,
    *,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Check the simulator's Kafka.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer yes or no to each thing that the archive needs. Changes nothing."""
    from jobs.cluster.state import state_folder
    from jobs.commands.checks import all_checks

    path = config_file(config)
    checks = []
    for result in all_checks(path, state_folder(), simulator=simulator):
        checks.append(result)
        if not as_json:
            console().print(
                f"[green]yes[/]  {result.name}:" if result.ok else f"[red]no[/]   {result.name}:",
                end=" ",
            )
            console().print(result.detail, markup=False, soft_wrap=True)
    if as_json:
        answers = [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]
        typer.echo(json.dumps(answers, indent=2))
    if not all(result.ok for result in checks):
        raise typer.Exit(CommandExit.NO)


@app.command(epilog=examples("finkray prepare"))
def prepare() -> None:
    """Make Spark start faster on this machine; `make setup` does it. Half a minute, once.

    Writes the classes of Spark's JVMs to a class-data-sharing file in this Python environment.
    """
    from jobs.commands.prepare import prepare as build
    from jobs.commands.progress import Progress

    build(Progress())
