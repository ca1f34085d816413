"""`finkray consume`: read the topic of a filter."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.cli.common import Config, command_context, examples

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""


@app.command(
    epilog=examples(
        "finkray consume bright",
        "finkray consume bright --limit 3",
        "finkray consume bright --save alerts --follow",
        "finkray consume bright --save alerts --format avro",
    )
)
def consume(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", show_default=False, help="Of a filter.")],
    config: Config = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            show_default=False,
            help="Write files there, and go on behind those that are there; else print JSON.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="Of the files: parquet or avro.")
    ] = "parquet",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Print N alerts at most."),
    ] = None,
) -> None:
    """Read the topic of a filter from its beginning: print its alerts, or save them.

    Saved, it goes on exactly where it stopped: no alert is missing, and none is there twice.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.consume import consume_now

    if form not in ("parquet", "avro"):
        raise typer.BadParameter("expected parquet or avro", param_hint="--format")
    if limit is not None and folder is not None:
        raise typer.BadParameter("is for printing, without --save", param_hint="--limit")
    chosen: Literal["parquet", "avro"] = "avro" if form == "avro" else "parquet"
    context = command_context(config)
    with stop_on_interrupt() as stopping:
        count = consume_now(
            context.settings,
            topic,
            folder,
            chosen,
            print_line=typer.echo,
            go_on=lambda at_end: not stopping.is_set() and (follow or not at_end),
            limit=limit,
        )
    if folder is not None:
        context.progress.say(f"{count:,} alerts of {topic} were saved in {folder}")
