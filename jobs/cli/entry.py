"""The console script `finkray`, also where only the packages of a reader are installed."""

import sys

from finkray.host.exit_codes import CommandExit

_OWN = frozenset(("actors", "catalogs", "finkray", "jobs", "sim", "ui"))


def main() -> None:
    """Run the command line; say what to install where one of its packages is missing."""
    try:
        from jobs.cli.main import main as run
    except KeyboardInterrupt:  # its modules take half a second to load, and nothing was begun
        sys.exit(CommandExit.INTERRUPTED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OWN:
            raise
        sys.stderr.write(
            f"finkray: its commands need the package {missing}, which an installation for readers "
            "leaves out: pip install 'finkray[broker]'\n"
        )
        sys.exit(CommandExit.SETTINGS)
    run()
