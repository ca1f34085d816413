"""Have filter processes forked by the fork server (`finkray.streamout.fork_server`)."""

import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Final

from finkray.errors import FilterError
from finkray.host.sockets import limit_sending
from finkray.serving.environment import child_environment
from finkray.streamout.fork_server import PID_BYTES

FORK_S: Final = 120.0
"""How long a fork may take: 7 ms, but the first one waits until the fork server has loaded its
libraries, which takes half a second, and far more on a machine with more work than cores."""


class ForkServer:
    """The process that forks filter processes.

    Parameters
    ----------
    nice
        niceness of the filter processes
    send_s
        how long they may take to read a message before it fails
    """

    def __init__(self, nice: int, send_s: float) -> None:
        self._send_s = send_s
        mine, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "finkray.streamout.fork_server"),
                    *(str(its.fileno()), str(os.getpid()), str(nice)),
                ],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                env=child_environment(os.environ),
                start_new_session=True,
            )
        self._socket = mine

    def fork(self, output_descriptor: int) -> tuple[int, Connection]:
        """Return process id of a new filter process, and the connection to it.

        Parameters
        ----------
        output_descriptor
            for what the process prints

        Raises
        ------
        FilterError
            if the fork server has ended, or does not answer
        """
        mine, its = socket.socketpair()
        limit_sending(mine, self._send_s)
        try:
            self._socket.settimeout(FORK_S)
            with its:
                socket.send_fds(self._socket, [b"f"], [its.fileno(), output_descriptor])
            answer = self._socket.recv(PID_BYTES, socket.MSG_WAITALL)
        except OSError:
            answer = b""
        if len(answer) != PID_BYTES:
            mine.close()
            raise FilterError("the process that starts filters has ended, or hangs")
        return int.from_bytes(answer, "big"), Connection(mine.detach())

    def close(self) -> None:
        """End the fork server, and with it all filter processes."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
