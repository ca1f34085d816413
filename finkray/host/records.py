"""Write and read small files in which a process leaves a record for the next one.

They are private, and whole at any moment.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from finkray.errors import FinkrayError, StorageError
from finkray.whole_file import whole_file

T = TypeVar("T")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on; whole or not at all.

    Raises
    ------
    StorageError
        The disk refuses; the file is as it was.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path, mode=0o600) as file:
            file.write(text.encode())
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}: look at its disk (df -h, df -i, mount)"
        ) from error


def read_record(path: Path, parse: Callable[[bytes], T], advice: str) -> T | None:
    """Return what the record in a file says; None if there is no such file.

    Parameters
    ----------
    path
        Of the file.
    parse
        Returns what the bytes of the file say.
    advice
        What to do if the file is damaged.

    Raises
    ------
    FinkrayError
        It is damaged. `write_private` leaves no such file, so something else wrote it.
    """
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise FinkrayError(f"{path} is damaged: {advice}") from error
