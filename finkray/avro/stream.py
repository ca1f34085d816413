"""arrow-avro, as polars-avro brings it along: an Avro file in, Arrow batches out.

It is used below its public face, `polars_avro.read_avro`: what comes out there has been through
polars, which has neither the promised types nor plain offsets, and takes 1.2 to 1.5 times as long.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, cast

import pyarrow as pa
from polars_avro._avro_rs import AvroError, AvroSource

READ_BYTES = 256 * 1024
"""What the reader gets at a time: stays in the processor's cache."""

Piece = bytes | memoryview


class Undecodable(ValueError):
    """A record is damaged; never leaves `finkray.packets.decode`."""


def read_batch(pieces: Sequence[Piece], rows: int) -> Any:
    """The rows of the Avro file that the pieces make together.

    Parameters
    ----------
    pieces
        header and block
    rows
        how many there must be. arrow-avro could give them in several batches, but gets the
        offsets of unions wrong in all but the first.

    Returns
    -------
    Any
        a batch, as an object of Arrow's PyCapsule protocol

    Raises
    ------
    Undecodable
        if the reader refuses, or panics, or finds more or fewer rows
    """
    batches = _open(pieces).batch_iter(rows, None)
    try:
        given = list(batches)
    except AvroError as error:
        raise Undecodable(str(error)) from None
    except BaseException as error:
        # The panic's class derives from BaseException and has no name that can be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise Undecodable(f"the reader panicked: {error}") from None
    finally:
        # When the iterator goes it calls `_Stream.__exit__`. Were that while an exception is on
        # its way up, the call would wipe the exception out and Python would crash.
        del batches
    if len(given) != 1:
        raise Undecodable("the data go on behind the record")
    return given[0]


def schema_of(header: bytes) -> pa.Schema:
    """The Arrow schema of the batches of a file with this header.

    Raises
    ------
    Undecodable
        if the reader refuses the schema
    """
    source = _open([header])
    try:
        return pa.record_batch(source.schema()).schema
    except (AvroError, ValueError) as error:
        raise Undecodable(str(error)) from None
    finally:
        del source  # as above


def _open(pieces: Sequence[Piece]) -> AvroSource:
    stream = cast("AbstractContextManager[BinaryIO]", _Stream(pieces))
    strict = utf8_view = False
    return AvroSource([lambda: stream], strict, utf8_view)


class _Stream:
    """A file in pieces, in a context manager, as the reader wants it.

    The pieces are never put together as a whole: 10 MB anew for each chunk cost as much time in
    page faults as decoding does.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._left: list[Piece] = []

    def __enter__(self) -> "_Stream":
        self._left = list(reversed(self._pieces))
        return self

    def __exit__(self, *_: object) -> None:
        return

    def read(self, most_bytes: int) -> bytes:
        """The next pieces, at most so many bytes and about `READ_BYTES`."""
        room = min(most_bytes, READ_BYTES)
        taken: list[Piece] = []
        while self._left and len(self._left[-1]) <= room:
            taken.append(self._left.pop())
            room -= len(taken[-1])
        if self._left and not taken:
            large = memoryview(self._left.pop())
            taken.append(large[:room])
            self._left.append(large[room:])
        return b"".join(taken)
