"""`finkray consume` and `finkray transfer`: read the topic of a filter, write old alerts to one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.common import Begins, Config, Ends, Projections, command_context, examples

if TYPE_CHECKING:
    from finkray.streamout.consuming import Format

FileFormat = Annotated[
    str,
    typer.Option("--format", metavar="parquet|avro", help="Format of the saved files."),
]

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
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", show_default=False, help="Topic of a filter.")
    ],
    config: Config = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            show_default=False,
            help="Write files to this folder, after those that are there; default: print JSON.",
        ),
    ] = None,
    form: FileFormat = "parquet",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more alerts, until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Print N alerts at most."),
    ] = None,
) -> None:
    """Read the topic of a filter from its beginning: print its alerts, or save them.

    With --save it continues exactly where it stopped: no alert is missing, and none is there twice.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.consume import consume_now

    chosen = _known_format(form)
    if limit is not None and folder is not None:
        raise typer.BadParameter("is for printing, without --save", param_hint="--limit")
    context = command_context(config)
    with stop_on_interrupt() as stopping:
        count = consume_now(
            context.settings,
            topic,
            folder,
            chosen,
            print_line=typer.echo,
            go_on=lambda at_end: (
                not stopping.is_set()
                and (follow or not at_end)
                and (folder is not None or context.progress.is_read())
            ),
            limit=limit,
        )
    if folder is not None:
        context.progress.say(f"{count:,} alerts of {topic} were saved in {folder}")


@app.command(
    epilog=examples(
        "finkray notify bright --webhook-file slack.url",
        "finkray notify bright --webhook-file slack.url --every 600 --follow",
    )
)
def notify(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", show_default=False, help="Topic of a filter.")
    ],
    webhook_file: Annotated[
        Path,
        typer.Option(metavar="FILE", help="File with the webhook's address, which is a secret."),
    ],
    config: Config = None,
    *,
    every_s: Annotated[
        float, typer.Option("--every", metavar="S", min=1, help="Least time between two posts.")
    ] = 60.0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more alerts, until Ctrl-C.")
    ] = False,
) -> None:
    """Post digests of a topic to a webhook, as Slack and its like take them.

    It continues after what was posted last: FILE.posted has the offsets.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.consume import notify_now

    context = command_context(config)
    with stop_on_interrupt() as stopping:
        posts = notify_now(
            context.settings, topic, webhook_file, every_s, follow=follow, stopping=stopping
        )
    context.progress.say(f"{posts:,} posts of {topic}")


@app.command(
    epilog=examples(
        "finkray transfer ftransfer_ztf_mine --from 2026-11-24 --to 2026-11-25 --filter bright.py",
        "finkray transfer ftransfer_ztf_all --from 2026-11-24T01 --to 2026-11-24T02",
        "finkray transfer --save bright --from 2026-11-24 --to 2026-11-25 --filter bright.py",
    )
)
def transfer(
    begins: Begins,
    ends: Ends,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", show_default=False, help="A new one: ftransfer_<survey>_<name>."
        ),
    ] = None,
    config: Config = None,
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FOLDER",
            show_default=False,
            help="Write files to this new folder, in place of a topic; Kafka is not needed.",
        ),
    ] = None,
    form: FileFormat = "parquet",
    file: Annotated[
        Path | None,
        typer.Option(
            "--filter",
            metavar="FILE",
            show_default=False,
            help="Only alerts that pass the filter of this file; default: all.",
        ),
    ] = None,
    projection: Projections = "lite",
) -> None:
    """Write archived alerts to files, or to a topic of their own as `finkctl transfer` reads it.

    Each try needs a new topic. The topic is complete when the topic TOPIC_schema is there.
    """
    from finkray.host.exit_codes import CommandExit
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.consume import transfer_now

    target = topic or folder
    if target is None or (topic and folder):
        raise typer.BadParameter("expected a topic or --save FOLDER, one of them")
    context = command_context(config)
    with (
        stop_on_interrupt() as stopping,
        context.progress.waiting(f"writing alerts from {begins} to {ends}") as tell,
    ):
        done = transfer_now(
            context.settings,
            target,
            (begins, ends),
            file,
            projection,
            form=_known_format(form),
            tell=tell,
            stopping=stopping,
        )
    context.progress.say(
        f"{done.sent:,} of {done.alerts:,} alerts were written to {target}; {done.refused:,} "
        "refused"
    )
    for reason, count in done.reasons.most_common():
        context.progress.tell(f"refused {count:,}: {reason}")
    if not done.is_complete:
        context.progress.tell(
            f"stopped before the end; begin again with another name than {target}"
        )
        raise typer.Exit(CommandExit.INTERRUPTED)


def _known_format(form: str) -> "Format":
    if form == "parquet":
        return "parquet"
    if form == "avro":
        return "avro"
    raise typer.BadParameter("expected parquet or avro", param_hint="--format")
