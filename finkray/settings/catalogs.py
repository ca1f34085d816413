"""Settings of the reference catalogues."""

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt, StringConstraints, field_validator

from finkray.settings.section import MiB, Section

CDS_XMATCH: Final = "http://cdsxmatch.u-strasbg.fr/xmatch/api/v1/sync"
"""The cross-match service of the CDS in Strasbourg."""

REMOTE_TIMEOUT_S: Final = 10.0
REMOTE_FAILURES: Final = 3
REMOTE_REST_S: Final = 60.0

_TABLE: Final = re.compile(r"simbad|vizier:\S+")

CatalogName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Small letters, digits and _, as of a catalogue on disk."""


class RemoteSettings(Section):
    """A catalogue on the web, which the CDS cross-match service, or one like it, looks up in."""

    table: str = Field(description="`simbad`, or `vizier:` and a table, as `vizier:II/246/out`")
    radius_arcsec: PositiveFloat = Field(
        le=180.0, description="A source within this separation is a match; the CDS takes up to 180"
    )
    columns: tuple[str, ...] = Field((), description="What an answer carries; empty: all columns")
    address: str = Field(CDS_XMATCH, description="Where the service is")
    timeout_s: PositiveFloat = Field(
        REMOTE_TIMEOUT_S, description="Time limit for a batch, in seconds"
    )
    failures: PositiveInt = Field(
        REMOTE_FAILURES, description="After so many failures in a row it is left alone for a while"
    )
    rest_s: PositiveFloat = Field(
        REMOTE_REST_S, description="For so long, in seconds; then one try decides"
    )

    @field_validator("table")
    @classmethod
    def _table_is_one_of_the_cds(cls, table: str) -> str:
        if not _TABLE.fullmatch(table):
            raise ValueError('expected "simbad", or "vizier:" and a table')
        return table

    @field_validator("address")
    @classmethod
    def _address_has_no_login(cls, address: str) -> str:
        # Services of users are given this table: no secret may be in it.
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("expected http:// or https:// and a host, without a login")
        return address


class CatalogSettings(Section):
    """Reference catalogues: those that `finkray catalog` builds, and those on the web."""

    folder: str = Field(
        "catalog-store",
        min_length=1,
        description="Folder that catalogues live in; all nodes see it under this name",
    )
    memory_bytes: ByteSize = Field(
        ByteSize(500 * MiB),
        ge=1 * MiB,
        description="What the shards of all catalogues may take in the memory of one process; "
        "those used last are kept",
    )
    remote: dict[CatalogName, RemoteSettings] = Field(
        {},
        description="Catalogues on the web, each a table of its own, as `[catalogs.remote.simbad]` "
        "(docs/catalogs.md)",
    )

    @property
    def root(self) -> Path:
        """The folder as an absolute path."""
        return Path(self.folder).expanduser().absolute()

    def placed(self) -> "CatalogSettings":
        """The same with a folder that is found from anywhere."""
        return self.model_copy(update={"folder": str(self.root)})
