"""Bytes in Arrow's own memory, for readers whose threads end after them."""

import pyarrow as pa


def native_buffer(data: bytes) -> pa.Buffer:
    """Return a copy of the bytes in Arrow's own memory.

    A thread of Arrow may let go of what it has read a moment after the reader has returned. Memory
    of Python needs the interpreter for that: a program that ends in this moment aborts with
    "terminate called without an active exception"
    (https://github.com/apache/arrow/issues/34314, seen with pyarrow 26.0.1).
    """
    out = pa.BufferOutputStream()
    out.write(data)
    return out.getvalue()
