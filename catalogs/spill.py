"""Tables kept by key in files, to sort a catalogue of any size in bounded memory."""

from collections.abc import Hashable
from pathlib import Path
from typing import Final, Generic, TypeVar

import pyarrow as pa

from finkray.errors import CatalogError

HELD_BYTES: Final = 64 * 1024 * 1024

Key = TypeVar("Key", bound=Hashable)


class Spill(Generic[Key]):
    """Append pieces to the file of their key; the rows of a key come back in order.

    Parameters
    ----------
    folder
        that does not exist yet
    held_bytes
        size of the pieces in memory at which they are written
    """

    def __init__(self, folder: Path, held_bytes: int = HELD_BYTES) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._held_bytes = held_bytes
        self._files: dict[Key, Path] = {}
        self._held: dict[Key, list[pa.Table]] = {}
        self._bytes = 0
        self._made = 0

    def append(self, key: Key, rows: pa.Table) -> None:
        """Add rows, all of one schema."""
        self._held.setdefault(key, []).append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= self._held_bytes:
            self._write()

    def keys_with_rows(self) -> list[Key]:
        """Return every key that has rows."""
        return [*self._files, *(key for key in self._held if key not in self._files)]

    def take(self, key: Key) -> pa.Table:
        """Return all rows of a key, and forget them."""
        pieces = []
        path = self._files.pop(key, None)
        if path:
            with path.open("rb") as file:
                size = path.stat().st_size
                while file.tell() < size:
                    pieces.append(pa.ipc.open_stream(file).read_all())
            path.unlink()
        held = self._held.pop(key, [])
        self._bytes -= sum(piece.nbytes for piece in held)
        return pa.concat_tables([*pieces, *held])

    def _write(self) -> None:
        for key, pieces in self._held.items():
            path = self._files.get(key)
            if path is None:
                path = self._files[key] = self._folder / str(self._made)
                self._made += 1
            table = pa.concat_tables(pieces)
            try:
                with path.open("ab") as file, pa.ipc.new_stream(file, table.schema) as stream:
                    stream.write_table(table)
            except OSError as error:
                raise CatalogError(f"{path}: cannot be written: {error.strerror}") from error
        self._held, self._bytes = {}, 0
