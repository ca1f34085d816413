"""Tables as the bytes of files. Runs in the process of the look-ups: a VOTable takes its time."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from finkray.reader import Archive
from ui.formats import FORMATS


def as_file(archive: Archive, file_format: str, read: Callable[..., pa.Table], *args: Any) -> bytes:
    """Return what a function returns for the archive and its arguments as the bytes of a file.

    Parameters
    ----------
    archive
        The archive.
    file_format
        A name of `ui.formats.FORMATS`.
    read
        A function of a module, and `args` its arguments after the archive.
    """
    write, _ = FORMATS[file_format]
    return write(read(archive, *args))
