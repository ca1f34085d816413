"""Options and helpers that the commands of `finkray` share."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from typer.core import TyperGroup

from finkray.json_values import json_value
from finkray.settings.model import load
from finkray.surveys import SURVEYS

if TYPE_CHECKING:
    from jobs.commands.context import CommandContext

DEFAULT_CONFIG: Final = Path("conf/finkray.toml")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="FINKRAY_CONFIG",
        help="Settings; default: conf/finkray.toml of this folder if there is one.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")]


def _known_survey(survey: str | None) -> str | None:
    if survey is not None and survey not in SURVEYS:
        raise typer.BadParameter(f"{survey!r} is no survey: expected {' or '.join(SURVEYS)}")
    return survey


OneSurvey = Annotated[
    str | None,
    typer.Option(
        "--survey",
        metavar="|".join(SURVEYS),
        callback=_known_survey,
        show_default=False,
        help="Only this survey; default: all.",
    ),
]
SurveyOfModel = Annotated[
    str,
    typer.Option(
        "--survey", metavar="|".join(SURVEYS), callback=_known_survey, help="Survey of the model."
    ),
]

BEGINS_HELP: Final = (
    "Alerts that arrived in Kafka in the hour of this UTC time, as 2026-11-24 or 2026-11-24T01, or "
    "later."
)
ENDS_HELP: Final = "Alerts of hours that begin before this UTC time; 2026-11-25 excludes that day."

Begins = Annotated[
    str, typer.Option("--from", metavar="TIME", show_default=False, help=BEGINS_HELP)
]
Ends = Annotated[str, typer.Option("--to", metavar="TIME", show_default=False, help=ENDS_HELP)]
Projections = Annotated[
    str,
    typer.Option(
        "--projection",
        metavar="P",
        help="Fields of the alert: lite (ids and detection), full (no images), cutouts (all), or "
        "field,field,…",
    ),
]


class WholeSummaries(TyperGroup):
    """A group of commands whose help has what each does, not the first words of it and dots."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line or more for each command."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _summary(each.help)) for name, each in commands if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _summary(text: str | None) -> str:
    """Return the first paragraph of a command's help."""
    return " ".join((text or "").partition("\n\n")[0].split())


def examples(*commands: str) -> str:
    """Return the examples at the end of a command's help."""
    # The \\b keeps the lines as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def refuse_two_formats(*, as_csv: bool, as_json: bool) -> None:
    """Refuse `--csv` and `--json` together."""
    if as_csv and as_json:
        raise typer.BadParameter("expected --csv or --json, not both")


def command_context(
    config: Path | None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> "CommandContext":
    """Return the context of a command, with the settings that its options override."""
    from jobs.cluster.state import state_folder
    from jobs.commands.context import CommandContext
    from jobs.commands.progress import Progress

    return CommandContext(
        load(config_file(config), os.environ, overrides), state_folder(), Progress()
    )


def config_file(config: Path | None) -> Path | None:
    """Return the settings file to read, or None."""
    return config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)


def console() -> Console:
    """Return the console for results."""
    # A pipe has no width: do not fold long names at 80 columns there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def print_json(value: Any) -> None:
    """Print a value as JSON; a number that is not finite is null."""
    typer.echo(json.dumps(json_value(value), indent=2))
