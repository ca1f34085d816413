"""`finkray password`: a line for the password file of the page."""

from typing import Annotated

import typer

from jobs.cli.common import examples

app = typer.Typer(rich_markup_mode=None)
"""Commands of `finkray` itself."""


@app.command(epilog=examples("finkray password alice >> /etc/finkray.users"))
def password(
    user: Annotated[str, typer.Argument(metavar="USER", show_default=False, help="Name.")],
) -> None:
    """Ask for a password, and print the user's line for ui.password_file: its hash alone."""
    from ui.passwords import password_line

    typed = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    typer.echo(password_line(user, typed))
