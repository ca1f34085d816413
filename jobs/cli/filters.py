"""Commands about filters: `finkray filter …`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finkray.host.exit_codes import CommandExit
from finkray.text import bytes_text
from jobs.cli.common import (
    AsJson,
    Begins,
    Config,
    Ends,
    Projections,
    WholeSummaries,
    command_context,
    examples,
    print_json,
)

if TYPE_CHECKING:
    from finkray.streamout.published import State

app = typer.Typer(
    help="Filters: which alerts are sent to which Kafka topic (docs/filters.md).",
    epilog=examples(
        "finkray filter check bright.py",
        "finkray filter test bright.py --from 2026-11-24 --to 2026-11-25",
        "finkray filter publish bright.py --topic bright",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

_File = Annotated[
    Path,
    typer.Argument(metavar="FILE", show_default=False, help="A .py, .toml, .csv or .moc file."),
]
_Name = Annotated[
    str, typer.Argument(metavar="NAME", show_default=False, help="Of a published filter.")
]


@app.command(
    epilog=examples("finkray filter check bright.py", "finkray filter check bright.py --json")
)
def check(file: _File, config: Config = None, *, as_json: AsJson = False) -> None:
    """Say what a filter reads, what its process takes, and how many of the last alerts pass.

    Exit code 1: it cannot be loaded, or fails at every alert.
    """
    from jobs.commands.filters import check_now

    context = command_context(config)
    found = check_now(context.settings, file)
    for line in () if as_json else found.lines(context.settings.streamout):
        context.progress.say(line)
    found.refuse_failure()
    if as_json:
        print_json(found.to_json())


@app.command(
    "test",
    epilog=examples(
        "finkray filter test bright.py --from 2026-11-24 --to 2026-11-25",
        "finkray filter test bright.py --from 2026-11-24T01 --to 2026-11-24T02 --json",
    ),
)
def try_(
    file: _File,
    begins: Begins,
    ends: Ends,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Judge archived alerts with a filter, whole hours of them, and send nothing."""
    from finkray.host.interrupt import stop_on_interrupt
    from jobs.commands.filters import trial_lines, try_now

    context = command_context(config)
    with (
        stop_on_interrupt() as stopping,
        context.progress.waiting(f"judging alerts from {begins} to {ends}") as tell,
    ):
        trial = try_now(context.settings, file, begins, ends, tell=tell, stopping=stopping)
    if as_json:
        print_json(trial.to_json())
        return
    for line in trial_lines(trial, context.settings.streamout):
        context.progress.say(line)
    if stopping.is_set():
        raise typer.Exit(CommandExit.INTERRUPTED)


@app.command(
    epilog=examples(
        "finkray filter publish bright.py --topic bright",
        "finkray filter publish bright.py --topic fink_bright_ztf --wire fink --projection full",
        "finkray filter publish bright.py --topic bright --projection objectId,candid,candidate",
    )
)
def publish(
    file: _File,
    topic: Annotated[
        str, typer.Option(metavar="NAME", show_default=False, help="The Kafka topic of its alerts.")
    ],
    config: Config = None,
    *,
    projection: Projections = "lite",
    wire: Annotated[
        str,
        typer.Option(
            metavar="confluent|fink", help="Form of the messages; fink is what fink-client reads."
        ),
    ] = "confluent",
    quota: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            help="Most alerts of an hour that are sent; default: streamout.quota_per_h.",
        ),
    ] = None,
) -> None:
    """Publish a filter, or a new version of one: from now on its alerts are sent.

    finkray start streamout sends them. A new version continues where the one before it is.
    """
    from finkray.streamout.projection import Projection
    from finkray.streamout.wire import Wire
    from jobs.commands.filters import publish_now

    if wire not in [each.value for each in Wire]:
        raise typer.BadParameter("expected confluent or fink", param_hint="--wire")
    context = command_context(config)
    published = publish_now(
        context.settings,
        file,
        topic=topic,
        projection=Projection.from_text(projection),
        wire=Wire(wire),
        quota_per_h=quota,
    )
    context.progress.say(
        f"{published.name} {published.definition.version} is published: what passes goes to the "
        f"topic {published.topic} ({published.projection.text}, {published.wire.value})"
    )


@app.command("list", epilog=examples("finkray filter list", "finkray filter list --json"))
def list_(config: Config = None, *, as_json: AsJson = False) -> None:
    """List the published filters, and what each has judged and sent."""
    from jobs.commands.filters import listed

    context = command_context(config)
    rows = listed(context.settings)
    if as_json:
        print_json(rows)
        return
    if not rows:
        context.progress.say("no filter is published: finkray filter publish FILE --topic NAME")
    for row in rows:
        context.progress.say(
            f"{row['name']} {row['version']} -> {row['topic']} ({row['projection']}, "
            f"{row['wire']}), {row['state']}: {row['alerts']:,} alerts judged, {row['sent']:,} "
            f"sent, {bytes_text(row['sent_bytes'])}, {sum(row['not_judged'].values()):,} not "
            f"judged, {sum(row['refused'].values()):,} refused, {row['waiting']:,} wait"
        )
        if row["incomplete"]:
            context.progress.say(
                f"    {row['incomplete']:,} sent before all services had answered: "
                f"{row['amendments']:,} amendments, {row['awaiting']:,} await answers, "
                f"{row['lapsed']:,} lapsed"
            )
        if row["fault"]:
            context.progress.say(f"    rests: {row['fault']}")
        for reason, count in {**row["not_judged"], **row["refused"]}.items():
            context.progress.say(f"    {count:,}: {reason}")


@app.command(epilog=examples("finkray filter pause bright"))
def pause(name: _Name, config: Config = None) -> None:
    """Pause a filter; `resume` continues where it stopped."""
    _set_state(config, name, "paused", "is paused")


@app.command(epilog=examples("finkray filter resume bright"))
def resume(name: _Name, config: Config = None) -> None:
    """Resume a paused filter where it stopped: what came meanwhile is sent too."""
    _set_state(config, name, "active", "is active")


@app.command(epilog=examples("finkray filter retire bright"))
def retire(name: _Name, config: Config = None) -> None:
    """End a filter for good; its topic and its counts stay."""
    _set_state(config, name, "retired", "is retired; its topic stays")


def _set_state(config: Path | None, name: str, state: "State", text: str) -> None:
    from finkray.streamout.published import FilterStore
    from jobs.cluster.archive import archive_of

    context = command_context(config)
    FilterStore(archive_of(context.settings)).set_state(name, state)
    context.progress.say(f"{name} {text}")
