"""`finkray start`, `finkray stop` and `finkray logs`."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from jobs.cli.common import Config, command_context, examples
from jobs.cli.simulator_options import with_simulator_options
from jobs.cluster.job import ServiceJob
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.registry import DAEMONS, SHIPPED, spec_named
from jobs.daemons.simulator import SIMULATOR

_KNOWN: Final = ", ".join([*DAEMONS, *SHIPPED])

_DAEMONS: Final = "\b\nDaemons:\n" + "".join(
    f"  {daemon.name:<12} {daemon.about}\n" for daemon in DAEMONS.values()
)

_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        show_default=False,
        help=f"{_KNOWN}, or a service of yours, as module:Name.",
    ),
]

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""


@app.command(
    epilog=_DAEMONS
    + "\n\n"
    + examples(
        "finkray start archive -c /etc/finkray.toml",
        "finkray start archive --simulator --exit-after 60 --foreground",
        "finkray start archive --simulator --survey lsst --pace realtime",
        "finkray start simulator --poison 0.01 --duplicates 0.01 --manifest night",
        "finkray start ui",
        "finkray start classify",
        "finkray start aggregation",
        "finkray start hats",
        "finkray start index",
        "finkray start streamout",
        "finkray start mymodule:Bright",
        "finkray start mymodule:Bright --from 2026-11-24 --into trial",
    )
)
@with_simulator_options
def start(
    name: _Name,
    config: Config = None,
    *,
    simulator: Annotated[
        bool,
        typer.Option(
            "--simulator", help="Read the simulator's Kafka; start it if it does not run."
        ),
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
            help="Services, first start only: also process alerts that arrived in Kafka since this "
            "UTC time, as 2026-11-24.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Services: name of the results."),
    ] = None,
    new_archive: Annotated[
        bool,
        typer.Option(
            "--new-archive",
            help="Archive: begin a new one although the one that was in its folder is gone.",
        ),
    ] = False,
    simulator_options: dict[str, Any],
) -> None:
    """Start a daemon or a service as a Ray job.

    The job runs on the Ray cluster of ray.address or RAY_ADDRESS, else on a local one, which this
    command starts if none runs. The command returns when the job is ready. The options of the
    simulator override its settings of the same names; they apply to `start simulator` and to
    `start archive --simulator`.
    """
    from jobs.commands import launch

    daemon = DAEMONS.get(name)
    if simulator and daemon is not ARCHIVE:
        raise typer.BadParameter("applies to `start archive` only", param_hint="--simulator")
    if new_archive and daemon is not ARCHIVE:
        raise typer.BadParameter("applies to `start archive` only", param_hint="--new-archive")
    if simulator_options and not simulator and daemon is not SIMULATOR:
        raise typer.BadParameter("options of the simulator need `start simulator` or --simulator")
    if daemon is None:
        service = ServiceJob(_spec(name), str(Path.cwd()), into, since)
        context = command_context(config)
        request = launch.request_service(
            context.settings, service, exit_after_s=exit_after, foreground=foreground
        )
    else:
        if since or into:
            raise typer.BadParameter("--from and --into apply to services only")
        context = command_context(config, {"simulator": simulator_options})
        request = launch.StartRequest(
            name,
            daemon,
            exit_after,
            foreground,
            simulator,
            simulator_configured=bool(simulator_options),
            new_archive=new_archive,
        )
    launch.start(context, request)


@app.command(
    epilog=examples("finkray stop archive", "finkray stop bright classify", "finkray stop --all")
)
def stop(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help=f"{_KNOWN}, or a service of yours by its name or as module:Name.",
        ),
    ] = None,
    config: Config = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Stop all jobs.")] = False,
) -> None:
    """Drain and stop jobs (archive, simulator, ui, bright); other jobs keep running.

    The archive commits what it holds and exits. Several jobs drain at the same time. The local Ray
    that `start` started is stopped with the last job on it.
    """
    from jobs.commands.stop import stop as stop_jobs

    if bool(names) == everything:
        raise typer.BadParameter("expected names of jobs, or --all", param_hint="NAME")
    stop_jobs(command_context(config), names or ())


@app.command(
    epilog=examples("finkray logs archive", "finkray logs bright -f", "finkray logs ui -n 0")
)
def logs(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", show_default=False, help="Name of the job, as in `status`."),
    ],
    config: Config = None,
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", metavar="N", min=0, help="How many lines; 0: all.")
    ] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")
    ] = False,
) -> None:
    """Show the log of the last job of a name on this machine, also after it has ended.

    For a job on a Ray cluster that finkray did not start use Ray's dashboard, or `ray job logs`,
    which needs the cluster's RAY_ADDRESS and token as `ray job submit` does.
    """
    from jobs.commands.logs import show_log

    show_log(command_context(config), name, lines, follow=follow)


def _spec(name: str) -> str:
    """Return the ``module:Name`` of a service."""
    spec = spec_named(name)
    if ":" not in spec:
        raise typer.BadParameter(
            f"{name!r} is neither {_KNOWN} nor a service of yours, as module:Name",
            param_hint="NAME",
        )
    return spec
