"""Settings `[archive]`: where the archive lies."""

from pathlib import Path

from pydantic import ByteSize, Field, PositiveFloat, field_validator

from finkray.settings.section import MiB, Section
from finkray.storage.opening import folder_of


class ArchiveSettings(Section):
    """Where the Parquet database lies."""

    uri: str = Field(
        "archive",
        min_length=1,
        description="Folder of the archive: a path (relative to where the command is given) or "
        "`file:///path`; all nodes see it under this name",
    )
    lease_ttl_s: float = Field(
        15.0,
        ge=1,
        description="Seconds after which an archive that no longer reports counts as dead and "
        "another may take its folder over",
    )
    hang_s: PositiveFloat = Field(
        120.0,
        description="Seconds for which the driver may stand still, as when its JVM hangs; then a "
        "fresh process takes over",
    )
    low_disk_bytes: ByteSize = Field(
        ByteSize(10 * 1024 * MiB),
        ge=0,
        description="The alarm LOW_DISK is raised when less than this is free on the archive's "
        "disk; 0 is never",
    )

    @field_validator("uri")
    @classmethod
    def _uri_is_a_folder(cls, uri: str) -> str:
        folder_of(uri)
        return uri

    @property
    def root(self) -> Path:
        """The archive's folder as an absolute path."""
        return folder_of(self.uri)
