"""Write a file of this machine that other processes may be reading: they see all of it, or none."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, *, mode: int = 0o666, durable: bool = True) -> Iterator[BinaryIO]:
    """Create or replace a file when the block ends; if it raises, leave what was there.

    What is written goes to a hidden file beside it, which then takes the name: under that name
    nobody finds a part, also after a kill. A kill may leave the hidden file.

    Parameters
    ----------
    path
        The file, in a folder that exists.
    mode
        Its permissions, less the umask.
    durable
        Whether it is on the disk before it takes the name, so that a loss of power leaves no part
        either. What is written several times a second and soon outdated needs no such wait.

    Raises
    ------
    OSError
        The disk refuses; the caller knows what the file is for, and explains it.
    """
    draft = path.with_name(f".new-{uuid.uuid4().hex}")
    try:
        with open(draft, "xb", opener=partial(os.open, mode=mode)) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
