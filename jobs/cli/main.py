"""The console script `finkray`: what can be said to it. The doing is in the modules beside it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

import finkray
from finkray.errors import FinkrayError, SettingsError
from finkray.host.exit_codes import COMMAND_EXITS, CommandExit
from jobs.cli import deadletters, services
from jobs.cli import simulator_options as options
from jobs.cli.catalog import catalog
from jobs.cli.common import AsJson, Config, command_context, config_file, console, examples
from jobs.cli.simulator import simulator_app
from jobs.cluster.ray_jobs import Daemon
from jobs.commands.shipped import SHIPPED, spec_named

_HELP: Final = """Archive astronomical alerts from Kafka as Parquet, each exactly once.

\b
Examples:
  finkray check --simulator          is everything there? Without --simulator: a Kafka of yours too
  finkray start archive --simulator  archive simulated alerts, on this machine
  finkray status                     what runs, since when, how fast
  finkray audit --simulator          is every alert accounted for?
  finkray deadletters list           what did not decode, and why
  finkray stop archive               drain, make durable, leave
  finkray stop simulator             and the last one takes the local Ray along
"""

_EXIT_CODES: Final = "\b\nExit codes:\n" + "".join(
    f"  {code:<4} {meaning}\n" for code, meaning in COMMAND_EXITS.items()
)


app = typer.Typer(
    help=_HELP,
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(simulator_app, name="simulator")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(catalog, name="catalog")

Which = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE",
        show_default=False,
        help=f"{', '.join([*Daemon, *SHIPPED])}, or one of your own: mymodule:Bright.",
    ),
]


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"finkray {finkray.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda value: _print_version(wanted=value),
            help="Print the version.",
        ),
    ] = False,
    debug: Annotated[  # noqa: ARG001 - `main` looks for it
        bool, typer.Option("--debug", help="Show where an error comes from.")
    ] = False,
) -> None:
    # What stands before the command.
    return


@app.command(
    epilog=examples(
        "finkray start archive -c /etc/finkray.toml",
        "finkray start archive --simulator --exit-after 60 --foreground",
        "finkray start archive --simulator --survey lsst --pace realtime",
        "finkray start simulator --poison 0.01 --duplicates 0.01 --manifest night",
        "finkray start ui",
        "finkray start classify",
        "finkray start aggregation",
        "finkray start mymodule:Bright",
        "finkray start mymodule:Bright --from 2026-11-24 --into trial",
    )
)
def start(
    service: Which,
    config: Config = None,
    *,
    simulator: Annotated[
        bool,
        typer.Option("--simulator", help="Read the simulator's Kafka; start it if need be."),
    ] = False,
    exit_after: Annotated[
        float | None,
        typer.Option(metavar="S", min=0, help="Drain and end after S seconds.", show_default=False),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay and show the log; Ctrl-C drains.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            show_default=False,
            help="A service on alerts, at its first start: also what came before, from here on.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Name of the results of such a service."
        ),
    ] = None,
    survey: options.Survey = None,
    alerts: options.Alerts = None,
    alerts_per_visit: options.AlertsPerVisit = None,
    pace: options.PaceOption = None,
    seed: options.Seed = None,
    poison: options.Poison = None,
    duplicates: options.Duplicates = None,
    out_of_order: options.OutOfOrder = None,
    late: options.Late = None,
    oversize: options.Oversize = None,
    schema_bump: options.SchemaBump = None,
    transactions: options.TransactionsOption = None,
    manifest: options.ManifestOption = None,
) -> None:
    """Start a service (archive, simulator, ui, classify, …, or your own) as a Ray job.

    On the Ray cluster that is there (ray.address, RAY_ADDRESS), else on a local one that is
    brought up for it. Returns when the service does its work. Options of the simulator stand for
    its settings of these names, and go with `start simulator` and `start archive --simulator`.
    """
    from jobs.cluster.archive import archive_of
    from jobs.commands.launch import StartRequest
    from jobs.commands.launch import start as start_service

    which = _which(service)
    if simulator and which is not Daemon.ARCHIVE:
        raise typer.BadParameter("goes with `start archive` alone", param_hint="--simulator")
    said = options.overrides(
        survey=survey,
        alerts=alerts,
        alerts_per_visit=alerts_per_visit,
        pace=pace,
        seed=seed,
        poison=poison,
        duplicates=duplicates,
        out_of_order=out_of_order,
        late=late,
        oversize=oversize,
        schema_bump=schema_bump,
        transactions=transactions,
        manifest=manifest,
    )
    if said and not simulator and which is not Daemon.SIMULATOR:
        raise typer.BadParameter("options of the simulator go with it alone")
    place = command_context(config, said)
    order = StartRequest(which, exit_after, foreground, simulator, bool(said))
    if isinstance(which, Daemon):
        if since or into:
            raise typer.BadParameter("--from and --into go with a service on alerts")
        if which is Daemon.AGGREGATION:
            archive_of(place.settings)
        start_service(place, order)
    else:
        from jobs.cluster.ray_jobs import ServiceJob
        from jobs.commands.launch import order_of

        user = ServiceJob(which, str(Path.cwd()), into, since)
        start_service(place, order_of(place.settings, user, order))


@app.command(
    epilog=examples(
        "finkray stop archive",
        "finkray stop bright",
    )
)
def stop(service: Which, config: Config = None) -> None:
    """Let a service (archive, simulator, ui, bright) drain and end; no other is touched.

    The archive makes durable what it holds, commits, and leaves. The local Ray that `start`
    brought up goes with the last service on it.
    """
    from jobs.commands.launch import stop as stop_service

    stop_service(command_context(config), service)


@app.command(
    epilog=examples(
        "finkray status",
        "finkray status --json | jq .snapshot.lag",
    )
)
def status(config: Config = None, *, as_json: AsJson = False) -> None:
    """Show what runs, since when, how fast, how late, and what is wrong."""
    from finkray.status.board import ARCHIVE_BOARD, read_board, service_board
    from jobs.cluster.archive import counts_of
    from jobs.cluster.connect import connected, job_client
    from jobs.cluster.ray_jobs import Jobs
    from jobs.commands.render_status import status_json, status_text

    place = command_context(config)
    cluster = place.cluster()
    services, snapshot = [], None
    own = []
    classes = counts_of(place.settings)
    if cluster:
        services = list(Jobs(job_client(cluster), place.state).running().values())
        with connected(cluster, place.settings.ray):
            snapshot = read_board(ARCHIVE_BOARD, place.settings)
            found = (read_board(service_board(s.name), place.settings) for s in services if s.spec)
            own = [one for one in found if one is not None]
    if as_json:
        typer.echo(
            json.dumps(status_json(cluster, services, snapshot, own, classes=classes), indent=2)
        )
    else:
        now = datetime.now(UTC)
        console().print(status_text(cluster, services, snapshot, now, own, classes=classes))


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
            help="Open the files too: all, a UTC day 2026-11-24, an hour 2026-11-24T01, A..B, or "
            "topic:partition:first-last.",
            show_default=False,
        ),
    ] = None,
    redrive: Annotated[
        bool,
        typer.Option(
            "--redrive", help="Bring missing ranges and files in; the archive must not run."
        ),
    ] = False,
) -> None:
    """Say whether every alert is accounted for, once: Kafka, the ledger and the files."""
    from jobs.cluster.simulated_kafka import meant_kafka
    from jobs.commands.audit import audit_now, redrive_now
    from jobs.commands.render_audit import audit_text

    place = command_context(config)
    command = "finkray audit --simulator"
    with meant_kafka(place.settings, place.state, command, simulator=simulator) as settings:
        if redrive:
            redrive_now(settings, place.progress.tell)
        report = audit_now(settings, deep)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        console().print(audit_text(report))
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
        bool, typer.Option("--simulator", help="Ask for the simulator's Kafka.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say yes or no to each thing that the archive needs. Changes nothing."""
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
    """Make each start of Spark on this machine quicker; `make setup` does it. Half a minute, once.

    Puts the classes of its JVMs, read and checked, into a file of this Python environment.
    """
    from jobs.commands.prepare import prepare as make_ready
    from jobs.commands.progress import Progress

    make_ready(Progress())


def main() -> None:
    """Run the command line; errors become one clear line and an exit code."""
    try:
        app(prog_name="finkray")
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, FinkrayError):
            sys.stderr.write(f"finkray: {error}\n")
            sys.exit(_exit_code(error))
        sys.stderr.write(
            f"finkray: a bug: {type(error).__name__}: {error} (finkray --debug … shows where)\n"
        )
        sys.exit(CommandExit.BUG)


def _exit_code(error: FinkrayError) -> CommandExit:
    if isinstance(error, SettingsError):
        return CommandExit.SETTINGS
    return CommandExit.UNAVAILABLE if error.retriable else CommandExit.NO


def _which(text: str) -> Daemon | str:
    """A service of ours, or ``module:Name``."""
    if text in list(Daemon):
        return Daemon(text)
    if ":" not in spec_named(text):
        known = ", ".join([*Daemon, *SHIPPED])
        raise typer.BadParameter(
            f"{text!r} is none of {known}, nor a service of your own, as mymodule:Bright",
            param_hint="SERVICE",
        )
    return spec_named(text)


app.add_typer(services.app)

if __name__ == "__main__":
    main()
