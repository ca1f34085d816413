"""Files that may be compressed, whatever their name is."""

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
    """Whether a file begins as one of gzip, bzip2 or xz."""
    with path.open("rb") as file:
        head = file.read(6)
    return any(head.startswith(magic) for magic in _MAGIC)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; what is compressed is decompressed on the way.

    Raises
    ------
    CatalogError
        The compressed file ends too early or is damaged, which is found when the reader gets
        there; or it is packed in a way that is not read.
    """
    with path.open("rb") as file:
        head = file.read(6)
    if packed := [name for magic, name in _ARCHIVES.items() if head.startswith(magic)]:
        raise CatalogError(f"{path}: is packed with {packed[0]}: unpack it first")
    decompress = next((how for magic, how in _MAGIC.items() if head.startswith(magic)), None)
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
def decompressed(path: Path) -> Iterator[Path]:
    """Return the path of the plain content: the file itself, or a temporary copy of what it holds.

    For readers that map a file into memory; the copy is checked to its end before anything is read.
    """
    if not is_compressed(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="finkray-catalog-", suffix=path.suffix) as copy:
        with opened(path) as file:
            shutil.copyfileobj(file, copy, 1024 * 1024)
        copy.flush()
        yield Path(copy.name)
