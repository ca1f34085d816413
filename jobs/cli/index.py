"""Commands about the object index: `finkray index …`."""

import typer

from finkray.host.exit_codes import CommandExit
from jobs.cli.common import AsJson, Config, WholeSummaries, command_context, examples, print_json

app = typer.Typer(
    help="The object index: where the alerts of an object or a position are (docs/index.md).",
    epilog=examples(
        "finkray index build",
        "finkray index status",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)


@app.command(epilog=examples("finkray index build", "finkray index build --json"))
def build(config: Config = None, *, as_json: AsJson = False) -> None:
    """Index all alerts that the archive has now.

    Ctrl-C ends it; the same command, or finkray start index, continues. Both may run at once.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.index import build_index, status_text

    context = command_context(config)
    with stop_on_interrupt() as stopping, context.progress.waiting("indexing the archive") as tell:
        status = build_index(context.settings, stopping, tell)
    if as_json:
        print_json(status.to_json())
    else:
        context.progress.say(status_text(status))
    if stopping.is_set():
        context.progress.tell("interrupted; the same command continues")
        raise typer.Exit(CommandExit.INTERRUPTED)


@app.command(epilog=examples("finkray index status", "finkray index status --json"))
def status(config: Config = None, *, as_json: AsJson = False) -> None:
    """Say how many alerts are indexed, and how many are not yet."""
    from jobs.commands.index import index_status, status_text

    context = command_context(config)
    found = index_status(context.settings)
    if as_json:
        print_json(found.to_json())
    else:
        context.progress.say(status_text(found))
