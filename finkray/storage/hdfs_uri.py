"""Where an archive lies in HDFS: name node and folder of a URI. Pure."""

import re
from typing import Final, NamedTuple

from finkray.storage.odd_paths import HDFS_ODD, refuse_odd_path

_AUTHORITY: Final = re.compile(
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"
)


class HdfsUri(NamedTuple):
    """A URI of HDFS, such as ``hdfs://host:8020/folder`` or ``hdfs://nameservice/folder``.

    Attributes
    ----------
    authority
        the name node with its port, or a name service that Hadoop's settings know
    folder
        without slashes at its ends; empty for the root
    """

    authority: str
    folder: str

    @classmethod
    def parse(cls, uri: str) -> "HdfsUri":
        """Parse a URI. Its path is taken literally, as by Hadoop's tools: no %20.

        Raises
        ------
        ValueError
            if the name node is missing, or HDFS would refuse a path below the folder
        """
        authority, _, folder = uri.removeprefix("hdfs://").partition("/")
        if not _AUTHORITY.fullmatch(authority):
            raise ValueError(
                f"{uri!r} names no name node: expected hdfs://HOST:PORT/FOLDER, or "
                "hdfs://NAMESERVICE/FOLDER"
            )
        folder = folder.strip("/")
        refuse_odd_path(folder, HDFS_ODD)
        return cls(authority, folder)

    def __str__(self) -> str:
        """Return the URI."""
        return f"{self.server}" + (f"/{self.folder}" if self.folder else "")

    @property
    def server(self) -> str:
        """The URI without the folder."""
        return f"hdfs://{self.authority}"

    def below(self, folder: str) -> "HdfsUri":
        """Return the URI of a folder."""
        return self._replace(folder=f"{self.folder}/{folder}".strip("/"))

    def full(self, path: str) -> str:
        """Return the absolute path in HDFS of a path below the folder."""
        return "/" + f"{self.folder}/{path}".strip("/")
