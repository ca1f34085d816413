"""Settings `[archive]`: where the archive lies."""

from pydantic import ByteSize, Field, PositiveFloat, ValidationInfo, field_validator

from finkray.settings.section import MiB, Options, Section, reveal
from finkray.storage.opening import Option, StorageLocation, open_storage


class ArchiveSettings(Section):
    """Where the Parquet database lies."""

    uri: str = Field(
        "archive",
        min_length=1,
        description="Folder of the archive: a path (relative to where the command is given) or "
        "`file:///path`; all nodes see it under this name",
    )
    options: Options = Field(
        {},
        description="Options of the storage that `uri` names, such as credentials, passed on as "
        "they are; a folder takes none",
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
    def _uri_names_a_storage(cls, uri: str) -> str:
        open_storage(StorageLocation(uri))
        return uri

    @field_validator("options")
    @classmethod
    def _the_storage_takes_the_options(cls, options: Options, info: ValidationInfo) -> Options:
        if options and "uri" in info.data:
            open_storage(StorageLocation(info.data["uri"], reveal(options)))
        return options

    def storage_options(self) -> dict[str, Option]:
        """Return the options with the secrets in clear, for the storage alone."""
        return reveal(self.options)
