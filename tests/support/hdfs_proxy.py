"""A proxy before a real name node, which lets renames be carried out and loses their answers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from finkray.host.ports import LOOPBACK
from tests.support.hdfs_server import HdfsServer

_RENAME: Final = b"rename2"
"""The name of the method in each of its calls."""


class NameNodeProxy:
    """A server of this process. Data nodes are reached directly."""

    def __init__(self, server: HdfsServer) -> None:
        self._server = server
        self._listener = socket.create_server((LOOPBACK, 0))
        self.lost = 0

    @property
    def uri(self) -> str:
        return f"hdfs://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        """Accept connections until `end`."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        """Pass on until a call to rename: the connection ends before its answer.

        A connection loses the answer of its second rename: the one after a lost one comes through.
        """
        with ExitStack() as stack:
            stack.enter_context(client)
            try:
                server = socket.create_connection((LOOPBACK, self._server.port))
            except OSError:
                return  # the name node is down
            stack.enter_context(server)
            loses = threading.Event()
            answers = threading.Thread(
                target=self._pass_answers, args=(server, client, loses), daemon=True
            )
            answers.start()
            renames = 0
            with suppress(OSError):
                while data := client.recv(1 << 16):
                    renames += data.count(_RENAME)
                    if renames >= 2:
                        loses.set()
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            answers.join()

    def _pass_answers(
        self, server: socket.socket, client: socket.socket, loses: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if loses.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy(server: HdfsServer) -> Iterator[NameNodeProxy]:
    """Run a proxy before the name node during a `with` block."""
    proxy = NameNodeProxy(server)
    thread = threading.Thread(target=proxy.run, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.end()
        thread.join()
