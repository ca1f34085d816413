"""Settings `[ui]`: the page."""

from pydantic import Field, PositiveFloat

from finkray.settings.section import Section


class UiSettings(Section):
    """The page."""

    host: str = Field("127.0.0.1", min_length=1, description="Address that the page listens on")
    port: int = Field(5000, ge=1, le=65535, description="Port that the page listens on")
    refresh_s: PositiveFloat = Field(1.0, description="Seconds between two readings of the status")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names, besides `host`, under which viewers reach the page, without a port; "
        "a name that is not listed is refused",
    )
    root_path: str = Field(
        "",
        pattern=r"^(/[\w.~-]+)*$",
        description="Path below which a reverse proxy serves the page, as `/finkray`",
    )
    password_file: str = Field(
        "",
        description="File with a user and a hashed password a line, as `finkray password` prints "
        "them; needed where `host` is not loopback. Empty: no sign-in",
    )
    user_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header in which a reverse proxy on this machine passes the signed-in user; "
        "requests without it are refused. Empty: none",
    )
    operators: tuple[str, ...] = Field(
        (),
        description="Signed-in users who may publish, pause and retire filters on the page: a "
        "filter is a program that runs on this machine. Empty: nobody",
    )
