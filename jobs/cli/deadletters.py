"""Commands about dead letters: `finkray deadletters …`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.common import (
    AsJson,
    Config,
    WholeSummaries,
    command_context,
    console,
    examples,
    print_json,
)

if TYPE_CHECKING:
    from finkray.dead_letters.search import Selection
    from finkray.settings.model import Settings
    from jobs.commands.deadletters import Tell

app = typer.Typer(
    help="Messages that did not decode: list, show, export, redrive them (docs/archive.md).",
    epilog=examples(
        "finkray deadletters list",
        "finkray deadletters show ztf_20261124_programid1 3 4711",
        "finkray deadletters export letters --reason truncated",
        "finkray deadletters redrive",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

Reasons = Annotated[
    list[str] | None,
    typer.Option(
        "--reason", metavar="REASON", help="Only this reason; may be given several times."
    ),
]
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", metavar="TOPIC", help="Only this topic; may be given several times."),
]
Partition = Annotated[
    int | None, typer.Option("--partition", min=0, metavar="N", help="Only this partition.")
]
Offsets = Annotated[
    str | None, typer.Option("--offsets", metavar="A-B", help="Only offsets A to B, or one offset.")
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="RANGE",
        help="By Kafka's timestamp: a UTC day 2026-11-24, an hour 2026-11-24T01, or A..B.",
    ),
]
Simulator = Annotated[
    bool, typer.Option("--simulator", help="Read messages again from the simulator's Kafka.")
]


@app.command(
    "list",
    epilog=examples(
        "finkray deadletters list --time 2026-11-24",
        "finkray deadletters list --reason unknown_schema --all",
        "finkray deadletters list --all --json | jq '.[].detail'",
    ),
)
def list_letters(
    config: Config = None,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    offsets: Offsets = None,
    time: Time = None,
    each_letter: Annotated[
        bool, typer.Option("--all", help="Print a line for each dead letter that is not resolved.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by topic, day and reason; dead, and resolved by a redrive."""
    from finkray.dead_letters.export import as_json as row_json
    from jobs.commands.deadletters import count, rows
    from jobs.commands.render_deadletters import counts_json, counts_table, rows_table

    selection = _selection(reason, topic, partition, offsets, time, resolved=not each_letter)
    with _working(config, "searching") as (settings, tell):
        if each_letter:
            listed = rows(settings, selection, tell)
            shown, machine = rows_table(listed.result), [row_json(row) for row in listed.result]
        else:
            counted = count(settings, selection, tell)
            shown, machine = counts_table(counted.result), counts_json(counted.result)
    _print(machine, shown, as_json=as_json)
    _warn_of((listed if each_letter else counted).unread)


@app.command(
    epilog=examples(
        "finkray deadletters show ztf_20261124_programid1 3 4711",
    )
)
def show(
    topic: Annotated[
        str,
        typer.Argument(metavar="TOPIC", show_default=False, help="Kafka's topic, as in `list`."),
    ],
    partition: Annotated[
        int,
        typer.Argument(
            metavar="PARTITION", min=0, show_default=False, help="Partition of the topic."
        ),
    ],
    offset: Annotated[
        int,
        typer.Argument(metavar="OFFSET", min=0, show_default=False, help="Offset of the message."),
    ],
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter: coordinates, error, first bytes, and the fields that decode."""
    from rich.console import Group

    from jobs.commands.deadletters import show as find
    from jobs.commands.render_deadletters import letter_json, letter_text

    letters = find(command_context(config).settings, topic, partition, offset)
    _print(
        [letter_json(letter) for letter in letters],
        Group(*map(letter_text, letters)),
        as_json=as_json,
    )


@app.command(
    epilog=examples(
        "finkray deadletters export letters --reason truncated",
        "finkray deadletters export letters.parquet --time 2026-11-24",
    )
)
def export(
    target: Annotated[Path, typer.Argument(metavar="FOLDER|FILE.parquet", help="Must not exist.")],
    config: Config = None,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    offsets: Offsets = None,
    time: Time = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Include those that a redrive resolved.")
    ] = False,
) -> None:
    """Write dead letters to a folder (a file each, and index.jsonl) or to one Parquet file."""
    from jobs.commands.deadletters import export as write

    selection = _selection(reason, topic, partition, offsets, time, resolved=resolved)
    with _working(config, "exporting") as (settings, tell):
        written = write(settings, selection, target, tell)
    typer.echo(f"{written.result} dead letters in {target}")
    _warn_of(written.unread)


@app.command(
    epilog=examples(
        "finkray deadletters redrive",
        "finkray deadletters redrive --reason unknown_schema --topic lsst-alerts",
    )
)
def redrive(
    config: Config = None,
    *,
    reason: Reasons = None,
    topic: Topics = None,
    partition: Partition = None,
    offsets: Offsets = None,
    time: Time = None,
    simulator: Simulator = False,
    as_json: AsJson = False,
) -> None:
    """Decode dead letters again after a fix; those that decode are archived, once.

    The archive must not run during a redrive: stop it, redrive, start it. A dead letter of which
    only the first bytes are kept is read from Kafka again, if Kafka still has it.
    """
    from jobs.commands.deadletters import redrive as decode_again
    from jobs.commands.render_deadletters import resolved_json, resolved_text

    selection = _selection(reason, topic, partition, offsets, time, resolved=False)
    with _working(config, "decoding again", simulator=simulator) as (settings, tell):
        done = decode_again(settings, selection, tell)
    _print(resolved_json(done), resolved_text(done), as_json=as_json)
    _warn_of(done.unread)


def _selection(
    reason: list[str] | None,
    topic: list[str] | None,
    partition: int | None,
    offsets: str | None,
    time: str | None,
    *,
    resolved: bool,
) -> "Selection":
    from finkray.dead_letters.search import Selection
    from finkray.storage.hours import Span, span_of

    first, last = _offsets(offsets)
    try:
        span = Span() if time is None else span_of(time)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--time") from error
    return Selection(
        reasons=frozenset(reason or ()),
        topics=frozenset(topic or ()),
        partition=partition,
        first_offset=first,
        last_offset=last,
        span=span,
        resolved=resolved,
    )


def _offsets(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    first, dash, last = text.partition("-")
    if not first.isdigit() or (dash and not last.isdigit()) or int(last or first) < int(first):
        raise typer.BadParameter(f"{text!r} is not a range: expected A-B", param_hint="--offsets")
    return int(first), int(last or first)


@contextmanager
def _working(
    config: Path | None, what: str, *, simulator: bool = False
) -> Iterator[tuple["Settings", "Tell"]]:
    from jobs.cluster.simulated_kafka import settings_of_kafka

    context = command_context(config)
    command = "finkray deadletters redrive --simulator"
    with (
        settings_of_kafka(
            context.settings, context.state, command, simulator=simulator
        ) as settings,
        context.progress.waiting(what) as tell,
    ):
        yield settings, tell


def _print(machine: Any, shown: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(machine)
    else:
        console().print(shown)


def _warn_of(unread: Sequence[str]) -> None:
    if unread:
        typer.echo(
            f"{len(unread)} dead-letter files could not be read, the first: {unread[0]}. If they "
            "are not about to be published by a running archive, see `finkray audit`",
            err=True,
        )
