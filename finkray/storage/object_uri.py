"""Where an archive lies in an object store: scheme, bucket and prefix of a URI. Pure."""

import re
from typing import Final, NamedTuple

from finkray.storage.odd_paths import OBJECT_ODD, refuse_odd_path

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""A name of a bucket of S3 or Google, or of a container of Azure; each store allows fewer."""


class ObjectUri(NamedTuple):
    """A URI of an object store, such as ``s3://bucket/prefix``.

    Attributes
    ----------
    scheme
        s3, gs or az
    bucket
        the bucket, or the container of Azure
    prefix
        before each path, without slashes at its ends; may be empty
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, uri: str) -> "ObjectUri":
        """Parse a URI. Its prefix is taken literally, as by the tools of the stores: no %20.

        Raises
        ------
        ValueError
            if the bucket is missing, or a key below the prefix could not be found again
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, prefix = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(
                f"{uri!r} names no bucket: expected {scheme}://BUCKET/PREFIX, with a bucket of "
                "letters, digits, dots and hyphens"
            )
        prefix = prefix.strip("/")
        refuse_odd_path(prefix, OBJECT_ODD)
        return cls(scheme, bucket, prefix)

    def __str__(self) -> str:
        """Return the URI."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def below(self, folder: str) -> "ObjectUri":
        """Return the URI of a folder."""
        return self._replace(prefix=self.key(folder))

    def key(self, path: str) -> str:
        """Return the key of a path below the prefix."""
        return f"{self.prefix}/{path}".strip("/")

    def path(self, key: str) -> str:
        """Return the path of a key below the prefix."""
        return key[len(self.prefix) + 1 :] if self.prefix else key
