"""The console script `finkray`: all its commands, and how an error ends it."""

import errno
import sys
from typing import Annotated, Final

import typer

import finkray
from finkray.errors import FinkrayError, SettingsError
from finkray.host.exit_codes import COMMAND_EXITS, CommandExit
from finkray.host.interrupt import endings_interrupt
from finkray.text import clipped, visible_lines, visible_text
from jobs.cli import (
    archive,
    consume,
    curves,
    deadletters,
    filters,
    hats,
    index,
    ledger,
    outliers,
    password,
    services,
    start,
    storage,
    subscribers,
)
from jobs.cli.catalog import catalog
from jobs.cli.common import WholeSummaries
from jobs.cli.simulator import simulator_app
from jobs.cli.standard_streams import mend_standard_streams

_HELP: Final = """Archive astronomical alerts from Kafka as Parquet, each exactly once.

\b
Examples:
  finkray check --simulator          is everything ready? Without --simulator: with your Kafka
  finkray start archive --simulator  archive simulated alerts, on this machine
  finkray status                     what runs, since when, how fast
  finkray audit --simulator          is every alert accounted for?
  finkray deadletters list           what did not decode, and why
  finkray lightcurve ZTF20abfcszi    what is known of an object; finkray cone finds it
  finkray stop archive               drain, make durable, end
  finkray stop simulator             the last stop also ends the local Ray
"""

_EXIT_CODES: Final = "\b\nExit codes:\n" + "".join(
    f"  {code:<4} {meaning}\n" for code, meaning in COMMAND_EXITS.items()
)


app = typer.Typer(
    help=_HELP,
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    cls=WholeSummaries,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for commands in (start.app, archive.app, services.app, curves.app, consume.app, password.app):
    app.add_typer(commands)
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(ledger.app, name="ledger")
app.add_typer(storage.app, name="storage")
app.add_typer(catalog, name="catalog")
app.add_typer(hats.app, name="hats")
app.add_typer(index.app, name="index")
app.add_typer(outliers.app, name="outliers")
app.add_typer(filters.app, name="filter")
app.add_typer(subscribers.app, name="subscriber")
app.add_typer(simulator_app, name="simulator")


_PATH_CHARS: Final = 80

_DISK_ERRORS: Final = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG),
        *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOTDIR),
    )
)
"""Errors with which the machine refuses something; they are no bugs of finkray."""


def _print_version(*, requested: bool) -> None:
    if requested:
        typer.echo(f"finkray {finkray.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda value: _print_version(requested=value),
            help="Print the version.",
        ),
    ] = False,
    debug: Annotated[  # noqa: ARG001 - `main` looks for it
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    # Options that stand before the command.
    return


def main() -> None:
    """Run the command line; errors become one clear line and an exit code."""
    mend_standard_streams()
    if odd := [word for word in sys.argv[1:] if not _is_text(word)]:
        encoding = sys.getfilesystemencoding()
        locale = "" if encoding == "utf-8" else ", as LC_ALL says: LC_ALL=C.UTF-8 takes any text"
        sys.stderr.write(f"finkray: {odd[0]!r} is no text in {encoding.upper()}{locale}\n")
        sys.exit(CommandExit.SETTINGS)
    try:
        with endings_interrupt():
            app(prog_name="finkray")
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, FinkrayError):
            sys.stderr.write(f"finkray: {visible_lines(str(error))}\n")
            sys.exit(_exit_code(error))
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            path = clipped(visible_text(str(error.filename)), _PATH_CHARS)
            sys.stderr.write(f"finkray: the path is too long: {path}\n")
            sys.exit(CommandExit.NO)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            path = f"{visible_text(str(error.filename))}: " if error.filename else ""
            sys.stderr.write(
                f"finkray: {path}{error.strerror}: look at the disk "
                "(df -h, df -i, mount), and at who may read and write there\n"
            )
            sys.exit(CommandExit.UNAVAILABLE)
        sys.stderr.write(
            f"finkray: a bug: {type(error).__name__}: {visible_lines(str(error))} "
            "(finkray --debug … shows where)\n"
        )
        sys.exit(CommandExit.BUG)


def _is_text(word: str) -> bool:
    """Return whether a word is text; bytes that are none have stand-ins that cannot be written."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _exit_code(error: FinkrayError) -> CommandExit:
    if isinstance(error, SettingsError):
        return CommandExit.SETTINGS
    return CommandExit.UNAVAILABLE if error.retriable else CommandExit.NO


if __name__ == "__main__":
    main()
