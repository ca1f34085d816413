"""Execute another program, and kill it when its owner ends.

    python guard.py PROGRAM ARGUMENT ...

Standard input must be a pipe whose other end only the owner holds: the kernel closes it however
the owner ends, and then a small watching process kills the program. The program has the process id
that the owner got. This file is started as a script, and imports nothing of finkray.
"""

import os
import select
import signal
import sys

_CHECK_S = 1.0


def _watch(program_pid: int) -> None:
    # While the program lives it is the parent of this process, so its id is not reused.
    while os.getppid() == program_pid:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], _CHECK_S)
        if readable and not os.read(sys.stdin.fileno(), 1) and os.getppid() == program_pid:
            os.kill(program_pid, signal.SIGKILL)
            return


if __name__ == "__main__":
    pid = os.getpid()
    if os.fork() == 0:
        _watch(pid)
        os._exit(0)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
