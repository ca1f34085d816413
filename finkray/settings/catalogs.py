"""Settings `[catalogs]`: reference catalogues, on disk and on the web."""

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import ByteSize, Field, PositiveFloat, PositiveInt, StringConstraints, field_validator

from finkray.host.home import expanded
from finkray.settings.section import MiB, Section

CDS_XMATCH: Final = "http://cdsxmatch.u-strasbg.fr/xmatch/api/v1/sync"
"""The cross-match service of the CDS in Strasbourg."""

REMOTE_TIMEOUT_S: Final = 10.0
REMOTE_FAILURES: Final = 3
REMOTE_REST_S: Final = 60.0

_TABLE: Final = re.compile(r"simbad|vizier:\S+")

CatalogName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Lower-case letters, digits and _."""


class RemoteSettings(Section):
    """A catalogue on the web, searched by the CDS cross-match service or a compatible one."""

    table: str = Field(description="`simbad`, or `vizier:` and a table, as `vizier:II/246/out`")
    radius_arcsec: PositiveFloat = Field(
        le=180.0, description="A source within this separation is a match; the CDS takes up to 180"
    )
    columns: tuple[str, ...] = Field((), description="Columns of an answer; empty: all")
    address: str = Field(CDS_XMATCH, description="Address of the service")
    timeout_s: PositiveFloat = Field(
        REMOTE_TIMEOUT_S, description="Time limit for a batch, in seconds"
    )
    failures: PositiveInt = Field(
        REMOTE_FAILURES,
        description="Consecutive failures before requests pause",
    )
    rest_s: PositiveFloat = Field(
        REMOTE_REST_S, description="Seconds without requests; then one request decides"
    )

    @field_validator("table")
    @classmethod
    def _table_is_known_to_the_cds(cls, table: str) -> str:
        if not _TABLE.fullmatch(table):
            raise ValueError('expected "simbad", or "vizier:" and a table')
        return table

    @field_validator("address")
    @classmethod
    def _address_has_no_login(cls, address: str) -> str:
        # The table is passed to users' services: it must not contain a secret.
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("expected http:// or https:// and a host, without a login")
        return address


class CatalogSettings(Section):
    """Reference catalogues: those that `finkray catalog` builds, and those on the web."""

    folder: str = Field(
        "catalog-store",
        min_length=1,
        description="Folder of the catalogues; all nodes must see it under the same path",
    )
    memory_bytes: ByteSize = Field(
        ByteSize(500 * MiB),
        ge=1 * MiB,
        description="Most memory of the shards of all catalogues in one process; the shards used "
        "last are kept",
    )
    remote: dict[CatalogName, RemoteSettings] = Field(
        {},
        description="Catalogues on the web, each in a table of its own, as "
        "`[catalogs.remote.simbad]` (docs/catalogs.md)",
    )

    @property
    def root(self) -> Path:
        """Return the folder as an absolute path."""
        return expanded(self.folder).absolute()

    def with_absolute_folder(self) -> "CatalogSettings":
        """Return these settings with an absolute folder."""
        return self.model_copy(update={"folder": str(self.root)})
