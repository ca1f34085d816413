"""Become another program, watched by a small process that ends it with its owner.

    python guard.py PROGRAM ARGUMENT ...

Standard input must be a pipe whose other end the owner alone holds: the kernel closes it
however the owner ends, and then the watcher kills the program. The program keeps the
process id that the owner was given. It is a file to be started, and imports nothing of ours.
"""

import os
import select
import signal
import sys

_LOOK_EVERY_S = 1.0


def _watch(program_pid: int) -> None:
    # While the program lives it is our parent, so its id cannot have gone to another process.
    while os.getppid() == program_pid:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], _LOOK_EVERY_S)
        if readable and not os.read(sys.stdin.fileno(), 1) and os.getppid() == program_pid:
            os.kill(program_pid, signal.SIGKILL)
            return


if __name__ == "__main__":
    pid = os.getpid()
    if os.fork() == 0:
        _watch(pid)
        os._exit(0)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
