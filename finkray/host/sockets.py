"""Limits of the sockets to child processes."""

import socket
import struct


def limit_sending(end: socket.socket, limit_s: float) -> None:
    """Let a write to a socket that takes longer fail with BlockingIOError.

    It holds for a `multiprocessing.connection.Connection` of the socket too, which has no limit of
    its own: what does not fit into the kernel's buffer waits for a process that does not read.
    """
    seconds, rest_s = divmod(limit_s, 1)
    end.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(seconds), int(rest_s * 1e6))
    )
