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
