"""Settings of the reference catalogues."""

from pathlib import Path

from pydantic import ByteSize, Field

from finkray.settings.kafka import MiB, Section
from finkray.settings.reader import to_environment


class CatalogSettings(Section):
    """Reference catalogues, which `finkray catalog` builds and services look alerts up in."""

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

    @property
    def root(self) -> Path:
        """The folder as an absolute path."""
        return Path(self.folder).expanduser().absolute()

    def placed(self) -> "CatalogSettings":
        """The same with a folder that is found from anywhere."""
        return self.model_copy(update={"folder": str(self.root)})

    def variables(self) -> dict[str, str]:
        """What a process in another folder needs in its environment to find the catalogues."""
        return to_environment("catalogs", self.placed())
