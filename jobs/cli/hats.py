"""Commands about HATS nights: `finkray hats …`."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from finkray.errors import SettingsError
from finkray.host.exit_codes import CommandExit
from jobs.cli.common import (
    AsJson,
    Config,
    OneSurvey,
    WholeSummaries,
    command_context,
    examples,
    print_json,
)

if TYPE_CHECKING:
    from jobs.commands.context import CommandContext

app = typer.Typer(
    help="HATS nights: one sky-partitioned collection a night, for LSDB (docs/hats.md).",
    epilog=examples(
        "finkray hats build --night 2026-11-24",
        "finkray hats list",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

_Scratch = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        show_default=False,
        help="Folder of the local disk for some 3 kB an alert; default: the temporary folder.",
    ),
]


@app.command(
    epilog=examples(
        "finkray hats build --night 2026-11-24",
        "finkray hats build --night 2026-11-24 --incomplete",
        "finkray hats build --night 2026-11-24 --survey lsst --json",
    )
)
def build(
    night: Annotated[
        str,
        typer.Option(
            metavar="NIGHT",
            show_default=False,
            help="The observing night (obs_night), as 2026-11-24.",
        ),
    ],
    config: Config = None,
    *,
    survey: OneSurvey = None,
    incomplete: Annotated[
        bool,
        typer.Option("--incomplete", help="Also if the night is not over: what there is of it."),
    ] = False,
    scratch: _Scratch = None,
    as_json: AsJson = False,
) -> None:
    """Build the collection of a night, or a new generation of it if more alerts have come.

    Readers see it when it is whole. Ctrl-C ends the build; the same command continues it. A night
    that has all alerts already is left as it is.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.hats import NightsCommand, built_text

    context = command_context(config)
    with (
        stop_on_interrupt() as stopping,
        context.progress.waiting(f"building night {night}") as tell,
    ):
        built = NightsCommand(context.settings, stopping, tell).build(
            _date(night), survey, scratch, None if incomplete else datetime.now(UTC)
        )
    _answer(context, built, built_text, as_json=as_json)


@app.command(
    epilog=examples(
        "finkray hats consolidate",
        "finkray hats consolidate --survey lsst --scratch /data/scratch",
    )
)
def consolidate(
    config: Config = None,
    *,
    survey: OneSurvey = None,
    scratch: _Scratch = None,
    as_json: AsJson = False,
) -> None:
    """Build one collection of all nights that are built, or a new generation of it.

    Each object has one row and one light curve. finkray start hats does it once a week. Readers
    see it when it is whole. Ctrl-C ends the work; the same command continues it.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.hats import NightsCommand, consolidated_text

    context = command_context(config)
    with (
        stop_on_interrupt() as stopping,
        context.progress.waiting("consolidating the nights") as tell,
    ):
        command = NightsCommand(context.settings, stopping, tell)
        done = command.consolidate(survey, scratch)
    _answer(context, done, consolidated_text, as_json=as_json)


@app.command("list", epilog=examples("finkray hats list", "finkray hats list --json"))
def list_(config: Config = None, *, as_json: AsJson = False) -> None:
    """List the nights that are built, with their alerts, objects and folder."""
    from jobs.commands.hats import built_text, list_nights

    context = command_context(config)
    nights = list_nights(context.settings)
    if not nights and not as_json:
        context.progress.say("no night is built: finkray hats build --night 2026-11-24")
    _answer(context, nights, built_text, as_json=as_json)


class _Built(Protocol):
    def to_json(self) -> dict[str, Any]: ...


_B = TypeVar("_B", bound=_Built)


def _answer(
    context: "CommandContext",
    built: Sequence[_B] | None,
    text: Callable[[_B], str],
    *,
    as_json: bool,
) -> None:
    """Print what was built, as JSON or a line each; None says that Ctrl-C ended the work."""
    if built is None:
        context.progress.tell("interrupted; the same command continues")
        raise typer.Exit(CommandExit.INTERRUPTED)
    if as_json:
        print_json([each.to_json() for each in built])
        return
    for each in built:
        context.progress.say(text(each))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no night: expected a date, as 2026-11-24") from error
