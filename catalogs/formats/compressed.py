"""Read files that may be compressed: their first bytes decide, not their name."""

import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from finkray.errors import CatalogError

_MAGIC: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}

_ARCHIVES: Final = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x9d": "compress"}

_DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def is_compressed(path: Path) -> bool:
    """Return whether a file begins as gzip, bzip2 and xz files do."""
    with path.open("rb") as file:
        head = file.read(6)
    return any(head.startswith(magic) for magic in _MAGIC)


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, and decompress it while it is read.

    Raises
    ------
    CatalogError
        The compressed file is cut short or damaged, raised when the reader reaches that position;
        or the file is an archive or compressed in a way that is not supported.
    """
    with path.open("rb") as file:
        head = file.read(6)
    if formats := [name for magic, name in _ARCHIVES.items() if head.startswith(magic)]:
        raise CatalogError(f"{path}: is packed with {formats[0]}: unpack it first")
    decompress = next((opener for magic, opener in _MAGIC.items() if head.startswith(magic)), None)
    try:
        if decompress is None:
            with path.open("rb") as file:
                yield file
        else:
            with decompress(path, "rb") as file:
                yield cast("BinaryIO", file)
    except _DAMAGED as error:
        raise CatalogError(
            f"{path}: the compressed file is cut short or damaged ({error}): fetch it again"
        ) from error


@contextmanager
def decompressed_copy(path: Path) -> Iterator[Path]:
    """Yield the path of the content: the file itself, or a decompressed temporary copy.

    For readers that map a file into memory. The copy is whole before anything is read.
    """
    if not is_compressed(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="finkray-catalog-", suffix=path.suffix) as copy:
        with open_decompressed(path) as file:
            shutil.copyfileobj(file, copy, 1024 * 1024)
        copy.flush()
        yield Path(copy.name)
