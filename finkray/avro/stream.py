"""Read an Avro file to Arrow batches with arrow-avro, which is part of polars-avro.

This uses a private module of polars-avro. The public `polars_avro.read_avro` converts to polars,
which has neither the promised types nor plain offsets, and takes 1.2 to 1.5 times as long.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, cast

import pyarrow as pa
from polars_avro._avro_rs import AvroError, AvroSource

READ_BYTES = 256 * 1024
"""Bytes that the reader gets at a time: they stay in the processor's cache."""

Piece = bytes | memoryview


class Undecodable(ValueError):
    """A record is damaged; never leaves `finkray.packets.decode`."""


def read_batch(pieces: Sequence[Piece], rows: int) -> Any:
    """Read the rows of an Avro file that is given in pieces.

    Parameters
    ----------
    pieces
        the header and the block
    rows
        how many there must be. arrow-avro can return several batches, but the offsets of unions
        are wrong in all but the first.

    Returns
    -------
    Any
        a batch that implements Arrow's PyCapsule protocol

    Raises
    ------
    Undecodable
        if the reader refuses the data, panics, or finds more or fewer rows
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
        # The iterator calls `_Stream.__exit__` when it is freed. If an exception is being raised
        # then, the call clears the exception and Python crashes.
        del batches
    if len(given) != 1:
        raise Undecodable("more data follow the record")
    return given[0]


def schema_of(header: bytes) -> pa.Schema:
    """Return the Arrow schema of the batches of a file with this header.

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
    """A file in pieces, as the context manager that the reader expects.

    The pieces are never joined: a new 10 MB for each chunk costs as much time in page faults as
    decoding does.
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
        """Return the next pieces: at most `most_bytes`, and about `READ_BYTES`."""
        left_bytes = min(most_bytes, READ_BYTES)
        taken: list[Piece] = []
        while self._left and len(self._left[-1]) <= left_bytes:
            taken.append(self._left.pop())
            left_bytes -= len(taken[-1])
        if self._left and not taken:
            large = memoryview(self._left.pop())
            taken.append(large[:left_bytes])
            self._left.append(large[left_bytes:])
        return b"".join(taken)
