"""Commands about the archive: status, audit, backup, check; prepare makes Spark start faster."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from finkray.errors import SettingsError
from finkray.host.exit_codes import CommandExit
from finkray.text import time_text, visible_text
from jobs.cli.common import (
    AsJson,
    Config,
    command_context,
    config_file,
    console,
    examples,
    print_json,
)

if TYPE_CHECKING:
    from jobs.commands.context import CommandContext

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""


@app.command(
    epilog=examples(
        "finkray status",
        "finkray status --long",
        "finkray status --watch 5",
        "finkray status --check || mail -s 'finkray is not well' shift@example.org",
        "finkray status --json | jq .snapshot.lag",
    )
)
def status(
    config: Config = None,
    *,
    as_json: AsJson = False,
    long: Annotated[bool, typer.Option("--long", help="Show all tables.")] = False,
    watch_s: Annotated[
        float | None,
        typer.Option(
            "--watch", metavar="S", min=1, help="Repeat every S seconds.", show_default=False
        ),
    ] = None,
    check_only: Annotated[
        bool,
        typer.Option("--check", help="Print what is not well; exit code 0 if nothing, else 1."),
    ] = False,
) -> None:
    """Show what runs, since when, how fast, how late, and what is wrong."""
    from jobs.commands.status import read_status

    context = command_context(config)
    if watch_s is not None:
        if as_json or check_only:
            raise SettingsError("--watch repeats the text: leave out --json and --check")
        _watch(context, watch_s, long=long)
    found = read_status(context)
    if check_only:
        for trouble in found.troubles:
            typer.echo(visible_text(trouble))
        if not found.troubles:
            typer.echo("well")
        raise typer.Exit(CommandExit.NO if found.troubles else CommandExit.DONE)
    for problem in found.problems:
        typer.echo(f"finkray: {visible_text(problem)}", err=True)
    if as_json:
        print_json(found.to_json())
    else:
        console().print(found.to_text(long=long))


def _watch(context: "CommandContext", every_s: float, *, long: bool) -> NoReturn:
    """Print the status again and again, until Ctrl-C; an error is shown and not the end."""
    from finkray.errors import FinkrayError
    from jobs.commands.status import read_status_or_problem

    screen = console()
    while True:
        found = read_status_or_problem(context)
        screen.clear()  # on a terminal alone
        screen.print(f"{time_text(datetime.now(UTC))}, every {every_s:g} s; end with Ctrl-C")
        if isinstance(found, FinkrayError):
            screen.print(visible_text(str(found)), markup=False)
        else:
            for problem in found.problems:
                screen.print(visible_text(problem), markup=False)
            screen.print(found.to_text(long=long))
        time.sleep(every_s)


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

    For published filters it also compares what each judged with what it sent.
    """
    from jobs.cluster.last_audit import keep_audit
    from jobs.cluster.simulated_kafka import settings_of_kafka
    from jobs.commands.audit import audit_now, filter_balances, redrive_now
    from jobs.commands.render_audit import audit_text

    context = command_context(config)
    command = "finkray audit --simulator"
    with settings_of_kafka(
        context.settings, context.state, command, simulator=simulator
    ) as settings:
        if redrive:
            redrive_now(settings, context.progress.tell)
        report = audit_now(settings, deep)
        keep_audit(context.state, report)
        filters = filter_balances(settings)
    if as_json:
        sent = {each.name: each.to_json() for each in filters}
        print_json({**report.to_json(), "streamout": sent})
    else:
        console().print(audit_text(report))
        for each in filters:
            console().print(f"filter {each.text}", markup=False, soft_wrap=True)
    if report.exit_code == 0 and any(each.problem for each in filters):
        raise typer.Exit(CommandExit.NO)
    raise typer.Exit(report.exit_code)


@app.command(
    epilog=examples(
        "finkray backup /backup/archive",
        "finkray backup s3://bucket/archive -c /etc/finkray.toml",
    )
)
def backup(
    uri: Annotated[
        str,
        typer.Argument(
            metavar="URI",
            show_default=False,
            help="Folder or URI of the backup: empty, or an earlier backup of the archive.",
        ),
    ],
    config: Config = None,
) -> None:
    """Copy the archive to another folder or store, also while it runs.

    Alerts, dead letters, ledger, results of services, models of outliers, thumbs and filters are
    copied; an earlier backup gets what is new. A command that was interrupted is repeated. The
    options of the store are those of archive.options, if archive.uri is of the same kind. The exit
    code is 1 if the archive lacks files of its ledger.
    """
    from jobs.commands.backup import backup_now, copied_text

    context = command_context(config)
    with context.progress.waiting("copying the archive") as tell:
        copied = backup_now(context.settings, uri, tell)
    console().print(copied_text(copied, uri), markup=False, soft_wrap=True)
    if copied.missing:
        raise typer.Exit(CommandExit.NO)


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
        print_json(answers)
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
