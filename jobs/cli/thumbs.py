"""Commands about what users think of outliers: `finkray outliers thumb`, `thumbs` and `refit`."""

import enum
from typing import Annotated

import typer

from finkray.surveys.ztf import ZTF
from jobs.cli.common import (
    AsJson,
    Config,
    SurveyOfModel,
    WholeSummaries,
    command_context,
    examples,
    print_json,
)

thumbs_app = typer.Typer(
    help="The log of thumbs: list them, take one back.",
    epilog=examples("finkray outliers thumbs list", "finkray outliers thumbs undo 3"),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

_User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="U",
        show_default=False,
        help="Who judges: a user or a group; default: your login name.",
    ),
]
_OnlyUser = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="U",
        show_default=False,
        help="Only thumbs of this user or group; default: all.",
    ),
]


class Direction(enum.StrEnum):
    """The two thumbs."""

    UP = "up"
    DOWN = "down"


def thumb(
    alert: Annotated[
        str,
        typer.Argument(metavar="ALERT", show_default=False, help="Id of the alert or its object."),
    ],
    direction: Annotated[
        Direction,
        typer.Argument(
            metavar="up|down", show_default=False, help="More alerts like this one, or no more."
        ),
    ],
    config: Config = None,
    *,
    user: _User = None,
    note: Annotated[
        str, typer.Option(metavar="TEXT", show_default=False, help="A remark, kept with it.")
    ] = "",
) -> None:
    """Say that you want more alerts like this one (up), or no more of them (down)."""
    from finkray.outliers.giving import give_thumb
    from jobs.cluster.archive import archive_of
    from jobs.commands.thumbs import thumb_log

    context = command_context(config)
    archive, log = archive_of(context.settings), thumb_log(context.settings)
    entry = give_thumb(archive, log, alert, direction.value, user=user, note=note)
    context.progress.say(
        f"thumb {entry.number}: {entry.user} {entry.action} {entry.survey} alert {entry.alert_id}; "
        "finkray outliers refit learns it"
    )


@thumbs_app.command(
    "list", epilog=examples("finkray outliers thumbs list", "finkray outliers thumbs list --json")
)
def list_(config: Config = None, *, user: _OnlyUser = None, as_json: AsJson = False) -> None:
    """List the thumbs that count: those not taken back, and a user's last one of each alert."""
    from jobs.commands.thumbs import thumb_log, thumb_text

    context = command_context(config)
    active = thumb_log(context.settings).active(user)
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in active])
    elif not active:
        context.progress.say("there are no thumbs: finkray outliers thumb ALERT up")
    for entry in [] if as_json else active:
        context.progress.say(thumb_text(entry))


@thumbs_app.command(epilog=examples("finkray outliers thumbs undo 3"))
def undo(
    number: Annotated[
        int,
        typer.Argument(
            metavar="NUMBER",
            min=1,
            show_default=False,
            help="Number of the thumb, as in `thumbs list`.",
        ),
    ],
    config: Config = None,
    *,
    user: _User = None,
) -> None:
    """Take a thumb back, by a further entry of the log."""
    from finkray.outliers.giving import named_user
    from jobs.commands.thumbs import thumb_log

    context = command_context(config)
    entry = thumb_log(context.settings).undo(number, named_user(user))
    context.progress.say(f"thumb {number} is taken back (entry {entry.number})")


def refit(
    config: Config = None,
    *,
    survey: SurveyOfModel = ZTF.name,
    user: _OnlyUser = None,
    as_json: AsJson = False,
) -> None:
    """Let the model in use learn the thumbs, of one user or of all, and put the new one in use.

    The new model is tried first on nights whose thumbs it has not learnt. If it ranks these thumbs
    worse than the score alone, it is stored and not used.
    """
    from jobs.commands.outliers import outlier_models

    context = command_context(config)
    refitted = outlier_models(context.settings).refit(survey, user=user)
    if as_json:
        print_json(refitted.to_json())
    else:
        context.progress.say(refitted.text())
