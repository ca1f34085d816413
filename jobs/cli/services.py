"""Commands about services: run, diff, service check, service list."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from finkray.errors import SettingsError
from finkray.host.exit_codes import CommandExit
from finkray.settings.model import Settings, load
from finkray.text import visible_text
from jobs.cli.common import (
    BEGINS_HELP,
    ENDS_HELP,
    AsJson,
    Config,
    WholeSummaries,
    command_context,
    config_file,
    examples,
    print_json,
)
from jobs.cluster.connect import WorkerLocation
from jobs.daemons.registry import SHIPPED, spec_named

_Spec = Annotated[
    str,
    typer.Argument(
        metavar="SERVICE",
        show_default=False,
        help=f"module:Name, or a shipped service: {', '.join(SHIPPED)}.",
    ),
]
_Results = typer.Argument(
    metavar="NAME", show_default=False, help="Results: a name, or NAME/VERSION."
)

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""

service_app = typer.Typer(
    help="Check a service before it runs, and list the results in the archive.",
    epilog=examples(
        "finkray service check mymodule:Bright",
        "finkray service list",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)
app.add_typer(service_app, name="service")


@app.command(
    epilog=examples(
        "finkray run mymodule:Bright",
        "finkray run mymodule:Bright --from 2026-11-01 --to 2026-11-08 --into trial",
        "finkray run classify --from 2026-11-24",
        "finkray run mymodule:Bright --on local --workers 2",
        "finkray diff bright trial",
    )
)
def run(
    service: _Spec,
    config: Config = None,
    *,
    begins: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            show_default=False,
            help=BEGINS_HELP,
        ),
    ] = None,
    ends: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME",
            show_default=False,
            help=ENDS_HELP,
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Name of the results; default: the service's own.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            help="Number of workers; default: on Ray as many as the waiting alerts need (between "
            "services.min_actors and services.max_actors), on this machine one for each core.",
        ),
    ] = None,
    location: Annotated[
        WorkerLocation | None,
        typer.Option(
            "--on",
            show_default=False,
            help="Workers are actors of a Ray cluster (ray) or processes of this machine (local); "
            "default: ray if a cluster has its head on this machine (ray.address, RAY_ADDRESS, or "
            "that of `finkray start`), else local.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a service over the archive, on a Ray cluster or in processes of this machine.

    Limits and results are those of a live service (`finkray start`). Alerts that have a result are
    not processed again, so that the same command continues a run that was stopped.
    """
    from jobs.commands.run_service import run_service, run_text, selected_alerts

    result = run_service(
        command_context(config),
        spec_named(service),
        selected_alerts(begins, ends),
        into=into,
        workers=workers,
        location=location,
    )
    if as_json:
        print_json(result.to_json())
    else:
        for line in run_text(result):
            typer.echo(visible_text(line))
    if result.stopped:
        raise typer.Exit(CommandExit.INTERRUPTED)


@app.command(epilog=examples("finkray diff bright trial", "finkray diff bright/1 bright/2 --json"))
def diff(
    first: Annotated[str, _Results],
    second: Annotated[str, _Results],
    config: Config = None,
    *,
    shown: Annotated[
        int, typer.Option("--examples", min=0, metavar="N", help="Number of alerts to show.")
    ] = 8,
    as_json: AsJson = False,
) -> None:
    """Show the alerts whose results differ, and how; exit code 0 if none differs, else 1."""
    from finkray.results.diff import diff as compare
    from finkray.results.diff import difference_to_json, lines_of
    from finkray.results.store import find_store
    from jobs.cluster.archive import archive_of

    archive = archive_of(_settings(config))
    difference = compare(find_store(archive, first), find_store(archive, second), shown)
    if as_json:
        print_json(difference_to_json(difference))
    else:
        for line in lines_of(difference, shown):
            typer.echo(visible_text(line))
    raise typer.Exit(difference.exit_code)


@service_app.command(
    epilog=examples(
        "finkray service check mymodule:Bright",
        "finkray service check mymodule:Bright --archive --rows 1000",
    )
)
def check(
    service: _Spec,
    config: Config = None,
    *,
    of_archive: Annotated[
        bool,
        typer.Option("--archive", help="Use alerts of the archive, not the sample alerts."),
    ] = False,
    rows: Annotated[
        int, typer.Option(min=2, metavar="N", help="Largest number of alerts to use.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """Check a service against its contract: schema, number of rows, order, nulls, cost."""
    from finkray.serving.check import check_service
    from finkray.serving.run import limits_of, spec_of

    settings = _settings(config)
    alerts, results_of = _alerts(settings if of_archive else None, rows)
    spec = spec_of(spec_named(service))
    findings = []
    for finding in check_service(spec, limits_of(settings), alerts, results_of):
        findings.append(finding)
        if not as_json:
            answer = "yes" if finding.ok else "no"
            typer.echo(f"{answer:<3}  {finding.name}: {visible_text(finding.detail)}")
    if as_json:
        answers = [
            {"name": finding.name, "ok": finding.ok, "detail": finding.detail}
            for finding in findings
        ]
        print_json(answers)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(CommandExit.NO)


@service_app.command(
    "list",
    epilog=examples("finkray service list", "finkray service list --json | jq '.[].name'"),
)
def list_(config: Config = None, *, as_json: AsJson = False) -> None:
    """List the results in the archive, by name and version."""
    from finkray.ledger.read import read_state
    from finkray.results.store import list_stores
    from jobs.cluster.archive import archive_of

    stores = [
        {
            "name": results.name,
            "version": results.version,
            "service": results.about.spec,
            "alerts": read_state(results.storage).state.balance().archived,
            "adds": results.about.output.names,
        }
        for results in list_stores(archive_of(_settings(config)))
    ]
    if as_json:
        print_json(stores)
        return
    for results in stores:
        adds = ", ".join(results["adds"])
        typer.echo(
            f"{results['name']}/{results['version']}: {results['alerts']} alerts, {adds} "
            f"(of {results['service']})"
        )


def _settings(config: Path | None) -> Settings:
    return load(config_file(config), os.environ)


def _alerts(settings: Settings | None, rows: int) -> tuple[Any, Any]:
    """Return alerts for a check, and a function that returns other services' results for them."""
    from finkray.results.inputs import read_input
    from finkray.serving.check import read_some
    from finkray.testing import alerts

    if settings is None:
        return alerts(min(rows, alerts().num_rows)), lambda _: None
    from finkray.reader import Archive
    from jobs.cluster.archive import archive_of

    storage = archive_of(settings)
    files = []
    for durable in Archive(storage).follow(wait_s=0):
        files.append(durable)
        if sum(file.rows for file in files) >= rows:
            break
    if not files:
        raise SettingsError(f"{storage.uri} contains no alerts yet")
    paths = [file.path for file in files]
    return read_some(storage, paths, rows), lambda text: read_input(storage, text, paths)
