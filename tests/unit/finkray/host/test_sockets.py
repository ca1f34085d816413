"""A write to a child process that does not read ends."""

import socket
from multiprocessing.connection import Connection

import pytest

from finkray.host.sockets import limit_sending


def test_what_nobody_reads_is_written_for_a_limited_time() -> None:
    mine, its = socket.socketpair()
    limit_sending(mine, 0.05)
    with its, Connection(mine.detach()) as connection:
        connection.send_bytes(b"small")
        with pytest.raises(BlockingIOError):
            connection.send_bytes(bytes(10**7))
