"""Commands about the ledger of the archive: `finkray ledger …`."""

from typing import Annotated

import typer

from finkray.host.exit_codes import CommandExit
from jobs.cli.common import (
    AsJson,
    Config,
    WholeSummaries,
    command_context,
    console,
    examples,
    print_json,
)

app = typer.Typer(
    help="The ledger, which says what the archive holds: rebuild one that is damaged or lost "
    "(docs/operations.md).",
    epilog=examples("finkray ledger rebuild --dry-run", "finkray ledger rebuild"),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)


@app.callback()
def _commands() -> None:
    # With a callback the only command keeps its name.
    return


@app.command(
    epilog=examples(
        "finkray ledger rebuild --dry-run",
        "finkray ledger rebuild",
        "finkray ledger rebuild --replace-readable",
        "finkray ledger rebuild --json | jq .left_out",
    )
)
def rebuild(
    config: Config = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    replace_readable: Annotated[
        bool,
        typer.Option(
            "--replace-readable",
            help="Also if the ledger is readable: make files that it does not name part of it.",
        ),
    ] = False,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Ask the simulator's Kafka for the ids of topics.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild a damaged or lost ledger from what is left of it and from the files.

    The archive must not run. Entries before the damage are kept; files that no entry names become
    claims again. Nothing is deleted: what is replaced, and files that fit into no claim, are moved
    to the folder ledger-replaced. Afterwards `finkray audit --redrive` reads from Kafka what is
    missing. The exit code is 1 if files were left out.
    """
    from jobs.cluster.simulated_kafka import settings_of_kafka
    from jobs.commands.rebuild import rebuild_now, rebuilt_text

    context = command_context(config)
    command = "finkray ledger rebuild --simulator"
    with (
        settings_of_kafka(
            context.settings, context.state, command, simulator=simulator
        ) as settings,
        context.progress.waiting("rebuilding the ledger") as tell,
    ):
        rebuilt = rebuild_now(settings, tell, replace_readable=replace_readable, dry_run=dry_run)
    if as_json:
        print_json(rebuilt.to_json())
    else:
        console().print(rebuilt_text(rebuilt), markup=False, soft_wrap=True)
    if rebuilt.left_out:
        raise typer.Exit(CommandExit.NO)
