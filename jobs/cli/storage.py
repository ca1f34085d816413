"""Commands about the storage of the archive: `finkray storage …`."""

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
    help="The storage that an archive lies on: a folder, an object store, HDFS (docs/storage.md).",
    epilog=examples("finkray storage check", "finkray storage check s3://bucket/prefix"),
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
        "finkray storage check",
        "finkray storage check s3://bucket/prefix",
        "finkray storage check s3://bucket/prefix --json | jq '.[] | select(.ok | not)'",
    )
)
def check(
    uri: Annotated[
        str,
        typer.Argument(metavar="URI", help="Where an archive is to lie; default: archive.uri."),
    ] = "",
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Try a storage before an archive trusts it.

    A store must refuse what exists already, also when two ask at the same time, and list what was
    written: some object stores do not, and two archives would both commit there. Some 500 small
    files are written below the URI and deleted again. The options are those of archive.options, if
    archive.uri is of the same kind. The exit code is 1 if the storage is not fit.
    """
    from jobs.commands.checks import uri_checks

    settings = command_context(config).settings
    results = []
    for result in uri_checks(uri, settings):
        results.append(result)
        if not as_json:
            answer = "[green]yes[/]" if result.ok else "[red]no[/] "
            console().print(f"{answer}  {result.name}:", end=" ")
            console().print(result.detail, markup=False, soft_wrap=True)
    if as_json:
        answers = [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in results]
        print_json(answers)
    if not all(result.ok for result in results):
        raise typer.Exit(CommandExit.NO)
