"""Hand files of the archive to the child process of a service, which cannot open them itself.

The child has no credentials of the storage, and the user's code in it must not get any. So the
worker, which has the storage, opens a file when the child requests it, and passes a file
descriptor over the socket between them:

- of the Parquet file itself, read-only, if the storage has files of the operating system (a
  folder). The child reads the columns that it needs.
- else of an anonymous file in memory. The worker reads the columns and writes them there as an
  Arrow stream, and the child maps it.

Why not Arrow for all storages: it costs more. CPU time of both processes for an alert of ZTF, in
us, with files in a folder, batches of 500, least of three tries:

==========================  ======================  ==================  ====================
columns                     child opens the path    Arrow, in memory    Arrow, by the socket
==========================  ======================  ==================  ====================
one                         1.5                     1.8                 1.6
those of the cross-match    3.5                     4.2                 4.0
history                     8.7                     11.9                14.4
one cutout                  8.8                     15.9                29.1
==========================  ======================  ==================  ====================

To read from a descriptor costs as much as from a path: in the same order 1.1 (path: 1.1), 2.8
(2.8), 7.0 (6.8) and 7.4 (6.7) us, files of 2000 alerts, least of 25 tries. It grants less: one
file, for reading. For whole services see ARCHITECTURE, "Who reads the files for a service?".
"""

import io
import mmap
import os
import tempfile
from collections.abc import Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Literal, NamedTuple

import pyarrow as pa

from finkray.errors import StorageError
from finkray.services.columns import read_columns
from finkray.storage.contract import Storage

Form = Literal["parquet", "arrow"]


class Handover(NamedTuple):
    """What the worker passes to the child for one file.

    Attributes
    ----------
    form
        what can be read from the descriptor
    descriptor
        owned by the process that has it, which closes it after passing or reading
    """

    form: Form
    descriptor: int


def open_for_child(archive: Storage, path: str, columns: Sequence[str]) -> Handover:
    """Open a file of the archive for a child process that will read these columns.

    Raises
    ------
    StorageError
        if the file cannot be opened or read
    """
    try:
        with archive.open(path) as source:
            descriptor = _descriptor_of(source)
            if descriptor is not None:
                return Handover("parquet", os.dup(descriptor))
            table = read_columns(source, columns)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    descriptor = _anonymous_file()
    with (
        os.fdopen(descriptor, "wb", closefd=False) as out,
        pa.ipc.new_stream(out, table.schema) as writer,
    ):
        writer.write_table(table)
    return Handover("arrow", descriptor)


def read_handed_over(handover: Handover, columns: Sequence[str]) -> pa.Table:
    """Read the columns as `read_columns` does, and close the descriptor.

    Raises
    ------
    OSError, ArrowException
        if the file cannot be read or is not Parquet
    """
    with os.fdopen(handover.descriptor, "rb") as file:
        if handover.form == "parquet":
            return read_columns(pa.PythonFile(file, mode="r"), columns)
        pages = pa.py_buffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    with pa.ipc.open_stream(pages) as reader:
        return reader.read_all()


def send_descriptor(connection: Connection, handover: Handover, pid: int) -> None:
    """Pass the descriptor to the process at the other end, and close it here."""
    try:
        reduction.send_handle(connection, handover.descriptor, pid)
    finally:
        os.close(handover.descriptor)


def receive_descriptor(connection: Connection) -> int:
    """Take the descriptor that `send_descriptor` passes; it belongs to the caller."""
    return reduction.recv_handle(connection)


def _descriptor_of(source: pa.NativeFile) -> int | None:
    try:
        return int(source.fileno())
    except io.UnsupportedOperation:
        return None


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("finkray-alerts")
    with tempfile.TemporaryFile() as file:  # not on Linux
        return os.dup(file.fileno())
