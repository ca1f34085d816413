"""Fork filter processes: `python -m finkray.streamout.fork_server DESCRIPTOR PID NICE`.

A Python that imports numpy, pandas and polars starts in 0.3 to 0.4 s and has 55 MB of its own. A
fork of this process, which has imported them, takes 7 ms and 6 to 9 MB. It has no threads, because
a fork has none of them and inherits their locks, and no user's code.

For each message, a byte and the descriptors of a socket and of a pipe, it forks a process that
serves the filter at the other end of the socket, and prints into the pipe. It replies with the
process id, 8 bytes.
"""

import gc
import os
import signal
import socket
import sys
from multiprocessing.connection import Connection
from typing import Final

PID_BYTES: Final = 8


def main() -> None:
    """Fork until the driver closes the connection."""
    descriptor, parent_pid, nice = map(int, sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the driver
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    if sys.platform == "linux":
        from finkray.host.supervise import die_with_parent

        die_with_parent(parent_pid)()
    os.nice(nice)
    import pandas  # noqa: F401, ICN001 - imported for the forks
    import polars  # noqa: F401, ICN001 - the same

    from finkray.streamout import filter_child

    gc.collect()
    gc.freeze()  # a collection would write to, and so copy, each page of what is shared
    server = socket.socket(fileno=descriptor)
    while True:
        order, descriptors, _, _ = socket.recv_fds(server, 1, 2)
        if not order:
            return
        given, output = descriptors
        server_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            _serve(filter_child.FilterChild, server, given, output, server_pid)
        os.close(given)
        os.close(output)
        server.sendall(pid.to_bytes(PID_BYTES, "big"))


def _serve(
    child_class: type, server: socket.socket, descriptor: int, output: int, server_pid: int
) -> None:
    """Serve a filter in the forked process, and end it."""
    code = 1
    try:
        server.close()
        for standard in (1, 2):
            os.dup2(output, standard)
        os.close(output)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # if it is killed
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":
            from finkray.host.supervise import die_with_parent

            die_with_parent(server_pid)()
        from finkray.streamout.filter_child import refuse_network

        refuse_network()
        child_class(Connection(descriptor)).run()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
