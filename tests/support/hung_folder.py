"""A folder that never answers, as behind a file server that is gone."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_DETACH = 2  # MNT_DETACH of umount2(2)


@contextmanager
def hung_folder(folder: Path) -> Iterator[Path]:
    """Yield a mount whose server reads no request (fuse(4)); who asks it waits until the end.

    Skips the test where a test may not mount, which takes root.
    """
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"a folder that hangs needs /dev/fuse: {error}")
    try:
        options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        if libc.mount(b"hung", bytes(folder), b"fuse", 0, options.encode()) != 0:
            pytest.skip(f"a folder that hangs must be mounted: {os.strerror(ctypes.get_errno())}")
        try:
            yield folder
        finally:
            libc.umount2(bytes(folder), _DETACH)
    finally:
        os.close(server)  # who still waits gets an error
