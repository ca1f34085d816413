"""Commands about outliers: `finkray outliers …`."""

from typing import Annotated, Final

import typer

from finkray.host.exit_codes import CommandExit
from finkray.surveys.ztf import ZTF
from jobs.cli import thumbs
from jobs.cli.common import (
    AsCsv,
    AsJson,
    Begins,
    Config,
    Ends,
    OneSurvey,
    SurveyOfModel,
    WholeSummaries,
    command_context,
    examples,
    print_json,
    refuse_two_formats,
)

app = typer.Typer(
    help="Outliers: how strange each alert is, with reasons (docs/outliers.md).",
    epilog=examples(
        "finkray outliers train --from 2026-11-20 --to 2026-11-24",
        "finkray run outliers --from 2026-11-24",
        "finkray outliers list --context transient-like",
        "finkray outliers thumb ZTF20abfcszi up",
    ),
    no_args_is_help=True,
    cls=WholeSummaries,
    rich_markup_mode=None,
)

app.command(
    epilog=examples(
        "finkray outliers thumb 2459198754215015010 up",
        "finkray outliers thumb ZTF20abfcszi down --user group-a --note 'a dipole'",
    )
)(thumbs.thumb)
app.command(epilog=examples("finkray outliers refit", "finkray outliers refit --user group-a"))(
    thumbs.refit
)
app.add_typer(thumbs.thumbs_app, name="thumbs")

CONTEXTS: Final = ("transient-like", "asteroid", "star", "galaxy", "unknown", "nothing")
"""Names of `finkray.outliers.context.CONTEXTS`, which is not imported for a help text."""

_OwnUser = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="U",
        show_default=False,
        help="The own model of a user or group; default: the model of all.",
    ),
]
_Version = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", show_default=False, help="Version of the model, or its first characters."
    ),
]


@app.command(
    epilog=examples(
        "finkray outliers train --from 2026-11-20 --to 2026-11-24",
        "finkray outliers train --from 2026-11-20 --to 2026-11-24 --survey lsst --no-use",
    )
)
def train(
    begins: Begins,
    ends: Ends,
    config: Config = None,
    *,
    survey: OneSurvey = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Seed of the samples and the forest; the same seed gives the same model.",
        ),
    ] = 0,
    rows: Annotated[
        int, typer.Option(min=50, metavar="N", help="Reference alerts of a model, at most.")
    ] = 4096,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Score alerts with the model from now on.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Build a model of what is ordinary, from the alerts of some nights of the archive.

    The same alerts and the same seed give the same model. Ctrl-C ends it; nothing is kept then.
    """
    from finkray.host.interrupt import stop_on_interrupt
    from finkray.outliers.training import TrainingStopped
    from jobs.commands.outliers import outlier_models, span_of_options

    span = span_of_options(begins, ends)
    context = command_context(config)
    try:
        with (
            stop_on_interrupt() as stopping,
            context.progress.waiting(f"reading alerts from {begins} to {ends}") as tell,
        ):
            trained = outlier_models(context.settings).train(
                span.start,
                span.end,
                survey=survey,
                seed=seed,
                rows=rows,
                use=use,
                tell=tell,
                stopping=stopping,
            )
    except TrainingStopped:
        context.progress.tell("interrupted; no model was kept")
        raise typer.Exit(CommandExit.INTERRUPTED) from None
    if as_json:
        print_json([model.to_json() for model in trained])
        return
    for model in trained:
        context.progress.say(model.text())


@app.command(epilog=examples("finkray outliers models", "finkray outliers models --json"))
def models(
    config: Config = None,
    *,
    survey: OneSurvey = None,
    user: _OwnUser = None,
    as_json: AsJson = False,
) -> None:
    """List the models, and which one of each survey is in use."""
    from jobs.commands.outliers import model_text, outlier_models

    context = command_context(config)
    found = outlier_models(context.settings).models(survey, user=user)
    if as_json:
        print_json([model.to_json() for model in found])
    elif not found:
        context.progress.say("there is no model: finkray outliers train --from … --to …")
    for model in [] if as_json else found:
        context.progress.say(model_text(model))


@app.command(
    epilog=examples("finkray outliers use 3f2a", "finkray outliers use 3f2a --user group-a")
)
def use(version: _Version, config: Config = None, *, user: _OwnUser = None) -> None:
    """Score alerts with a model from now on; a running service takes it with its next batch."""
    from jobs.commands.outliers import outlier_models

    context = command_context(config)
    model = outlier_models(context.settings).use(version, user=user)
    whose = f" by {user}" if user else ""
    context.progress.say(f"{model.manifest.survey} {model.version} is in use{whose} from now on")


@app.command(epilog=examples("finkray outliers revert --survey ztf"))
def revert(
    config: Config = None,
    *,
    survey: SurveyOfModel = ZTF.name,
    user: _OwnUser = None,
) -> None:
    """Put the model in use again that was in use before the present one."""
    from jobs.commands.outliers import outlier_models

    context = command_context(config)
    version = outlier_models(context.settings).revert(survey, user=user)
    context.progress.say(f"{survey} {version} is in use again")


@app.command(epilog=examples("finkray outliers show 3f2a"))
def show(version: _Version, config: Config = None) -> None:
    """Show what a model was built of, as JSON."""
    from jobs.commands.outliers import outlier_models

    print_json(outlier_models(command_context(config).settings).show(version))


@app.command(
    epilog=examples("finkray outliers compare 3f2a 91bc", "finkray outliers compare 3f 91 --json")
)
def compare(
    model: _Version,
    other: Annotated[
        str,
        typer.Argument(
            metavar="OTHER",
            show_default=False,
            help="Version of the other model, or its first characters.",
        ),
    ],
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare two models: the reference alerts and thumbs they share, and how alike they score."""
    from jobs.commands.outliers import outlier_models

    context = command_context(config)
    diff = outlier_models(context.settings).compare(model, other)
    if as_json:
        print_json(diff.to_json())
    else:
        context.progress.say(diff.text())


@app.command(
    "list",
    epilog=examples(
        "finkray outliers list",
        "finkray outliers list --night 2026-11-24 --top 50 --context transient-like",
        "finkray outliers list --mute 'Solar System' --mute 'RR*' --json",
        "finkray outliers list --top 200 --csv > strange.csv",
    ),
)
def list_(
    config: Config = None,
    *,
    night: Annotated[
        str | None,
        typer.Option(
            metavar="NIGHT",
            show_default=False,
            help="The observing night (obs_night), as 2026-11-24; default: the newest with scores.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many objects at most.")] = 20,
    context: Annotated[
        str | None,
        typer.Option(metavar="C", show_default=False, help=f"Only one of {', '.join(CONTEXTS)}."),
    ] = None,
    survey: OneSurvey = None,
    mute: Annotated[
        list[str] | None,
        typer.Option(
            "--mute", metavar="CLASS", help="Leave a class of classify out; may be repeated."
        ),
    ] = None,
    results: Annotated[
        str, typer.Option(metavar="NAME", help="Results to rank, or NAME/VERSION.")
    ] = "outliers",
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List the strangest objects of a night, one line each, with the reasons below it.

    p is the share of the night's alerts that score at least as high: 0.001 is one in a thousand.
    """
    from finkray.outliers.listing import outliers_of
    from jobs.cluster.archive import archive_of
    from jobs.commands.curves import write_csv
    from jobs.commands.outliers import list_lines

    refuse_two_formats(as_csv=as_csv, as_json=as_json)
    if context is not None and context not in CONTEXTS:
        raise typer.BadParameter(f"expected one of {', '.join(CONTEXTS)}", param_hint="--context")
    command = command_context(config)
    table = outliers_of(
        archive_of(command.settings),
        night=night,
        top=top,
        context=context,
        survey=survey,
        results=results,
        mute=mute or (),
        keep=True,
    )
    if as_csv:
        write_csv(table)
    elif as_json:
        print_json(table.to_pylist())
    if as_csv or as_json:
        return
    for line in list_lines(table, night):
        command.progress.say(line)
