"""Settings `[archive]`: location and lease of the archive."""

from pydantic import ByteSize, Field, PositiveFloat, ValidationInfo, field_validator

from finkray.settings.section import MiB, Options, Section, reveal
from finkray.storage.opening import Option, StorageLocation, open_storage


class ArchiveSettings(Section):
    """Location and lease of the Parquet archive."""

    uri: str = Field(
        "archive",
        min_length=1,
        description="Folder of the archive: a path (relative to the folder of the command) or "
        "`file:///path`; all nodes must see it under the same path. Or a prefix in an object "
        "store, or a folder of HDFS: `s3://bucket/prefix`, `hdfs://host:port/folder` "
        "(docs/storage.md)",
    )
    options: Options = Field(
        {},
        description="Options of the storage that `uri` names, such as credentials, passed on as "
        "they are; a folder takes none",
    )
    id: str = Field(
        "",
        description="The identity that the archive must have (`archive_id` in its "
        "`identity.json`): a start on a folder without it waits, as for a disk that is not "
        "mounted. Empty: any, and a new one on an empty folder",
    )
    lease_ttl_s: float = Field(
        15.0,
        ge=1,
        description="Seconds without a report after which an archive counts as dead, and another "
        "may take its folder over",
    )
    hang_s: PositiveFloat = Field(
        120.0,
        description="Seconds for which the driver's loop may hang, as in its JVM, before a fresh "
        "process replaces it",
    )
    low_disk_bytes: ByteSize = Field(
        ByteSize(10 * 1024 * MiB),
        ge=0,
        description="Free bytes on the archive's disk below which the alarm LOW_DISK is raised; 0 "
        "raises none",
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
