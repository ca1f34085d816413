"""Commands about subscribers: `finkray subscriber …`."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.cli.common import AsJson, Config, WholeSummaries, command_context, examples, print_json

if TYPE_CHECKING:
    from finkray.streamout.subscribers import Subscribers
    from jobs.commands.context import CommandContext

app = typer.Typer(
    help="Subscribers: logins that may read topics of filters (docs/subscribe.md).",
    epilog=examples(
        "finkray subscriber add alice --topic bright",
        "finkray subscriber list",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

_Name = Annotated[
    str, typer.Argument(metavar="NAME", show_default=False, help="Of the subscriber's login.")
]


@app.command(
    epilog=examples(
        "finkray subscriber add alice --topic bright",
        "finkray subscriber add alice --topic 'fink_*' --password-file alice.password",
    )
)
def add(
    name: _Name,
    topics: Annotated[
        list[str],
        typer.Option(
            "--topic",
            metavar="T",
            help="A topic, or the beginning of names and *; may be repeated.",
        ),
    ],
    config: Config = None,
    *,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="File with the password; default: a new one, which is printed.",
        ),
    ] = None,
) -> None:
    """Add a login that may read topics, in consumer groups whose names begin with its own.

    A new password is printed once. A login that exists gets the password in place of its old one,
    and the topics besides those it has.
    """
    context, subscribers = _open(config)
    password = (
        secrets.token_urlsafe(24)
        if password_file is None
        else password_file.read_text(encoding="utf-8").strip()
    )
    subscribers.add(name, password, topics)
    context.progress.say(f"{name} may read {', '.join(topics)}, with SCRAM-SHA-512")
    if password_file is None:
        context.progress.say(f"its password, which is shown only now: {password}")


@app.command("list", epilog=examples("finkray subscriber list", "finkray subscriber list --json"))
def list_(config: Config = None, *, as_json: AsJson = False) -> None:
    """List the subscribers and the topics that each may read."""
    context, subscribers = _open(config)
    found = subscribers.all()
    if as_json:
        print_json(found)
        return
    if not found:
        context.progress.say("there is no subscriber: finkray subscriber add NAME --topic T")
    for name, topics in found.items():
        context.progress.say(f"{name}: {', '.join(topics)}")


@app.command(epilog=examples("finkray subscriber remove alice"))
def remove(name: _Name, config: Config = None) -> None:
    """Remove a login and its rights; what it reads ends at once."""
    context, subscribers = _open(config)
    subscribers.remove(name)
    context.progress.say(f"{name} is removed")


def _open(config: Path | None) -> "tuple[CommandContext, Subscribers]":
    from finkray.streamout.subscribers import Subscribers
    from jobs.cluster.streamout_kafka import streamout_kafka

    context = command_context(config)
    settings = context.settings
    return context, Subscribers(streamout_kafka(settings), settings.streamout.instance)
