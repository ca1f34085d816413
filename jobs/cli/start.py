"""`finkray start` and `finkray stop`."""

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
        help=f"{_KNOWN}, or a service of your own: mymodule:Bright.",
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
            help="Services, first start only: also process alerts received since TIME.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Services: name of the results."),
    ] = None,
    played: dict[str, Any],
) -> None:
    """Start a daemon or a service as a Ray job.

    It runs on the Ray cluster that is there (ray.address, RAY_ADDRESS), else on a local one that
    is started for it. The command returns when the job does its work. The options of the simulator
    replace its settings of these names, and go with `start simulator` and
    `start archive --simulator`.
    """
    from jobs.commands import launch

    daemon = DAEMONS.get(name)
    if simulator and daemon is not ARCHIVE:
        raise typer.BadParameter("goes with `start archive` alone", param_hint="--simulator")
    if played and not simulator and daemon is not SIMULATOR:
        raise typer.BadParameter("options of the simulator go with it alone")
    if daemon is None:
        service = ServiceJob(_spec(name), str(Path.cwd()), into, since)
        context = command_context(config)
        request = launch.request_service(
            context.settings, service, exit_after_s=exit_after, foreground=foreground
        )
    else:
        if since or into:
            raise typer.BadParameter("--from and --into go with a service")
        context = command_context(config, {"simulator": played})
        request = launch.StartRequest(
            name, daemon, exit_after, foreground, simulator, simulator_configured=bool(played)
        )
    launch.start(context, request)


@app.command(epilog=examples("finkray stop archive", "finkray stop bright"))
def stop(name: _Name, config: Config = None) -> None:
    """Let a job (archive, simulator, ui, bright) drain and end; no other is touched.

    The archive makes durable what it holds, commits, and leaves. The local Ray that `start`
    brought up ends with the last job on it.
    """
    from jobs.commands import launch

    launch.stop(command_context(config), name)


def _spec(name: str) -> str:
    """Return the ``module:Name`` of a service."""
    spec = spec_named(name)
    if ":" not in spec:
        raise typer.BadParameter(
            f"{name!r} is none of {_KNOWN}, nor a service of your own, as mymodule:Bright",
            param_hint="NAME",
        )
    return spec
