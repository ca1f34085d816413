"""Read the board of an archive through a process that stays connected to Ray.

A wait looks many times, and `finkray status` takes 2 s of CPU time for each look: it starts Python,
imports Ray and connects. `python -m tests.support.board_reader` reads Ray namespaces, one a line,
and prints the last snapshot of the archive there as JSON, or `null`.
"""

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping

from finkray.status.archive import Snapshot


class BoardReader:
    """Reads snapshots of the archives on one Ray cluster.

    Parameters
    ----------
    environment
        Environment variables with which a process finds the cluster.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def read(self, namespace: str) -> Snapshot | None:
        """Return the last snapshot of the archive in this namespace; None if no archive runs."""
        with self._lock:
            # A process that lost its connection has ended: a second one tells whether Ray runs.
            answer = self._ask(namespace) or self._ask(namespace) or "null"
        return None if answer == "null" else Snapshot.model_validate_json(answer)

    def _ask(self, namespace: str) -> str:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.board_reader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{namespace}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.kill()
            self._process.wait()
        return answer


@functools.cache
def board_reader(*environment: tuple[str, str]) -> BoardReader:
    """Return the reader for a cluster, one for the session; it ends with pytest."""
    return BoardReader(dict(environment))


def main() -> None:
    """Answer until the standard input ends."""
    # Ray prints to the standard output, which has the answers alone.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from finkray.host.ray_connection import connect_to_ray
    from finkray.settings.model import Settings
    from finkray.settings.ray import RaySettings
    from finkray.status.board import ARCHIVE_BOARD, read_board

    connect_to_ray(os.environ["RAY_ADDRESS"], "tests", quiet=True)
    for line in sys.stdin:
        settings = Settings(ray=RaySettings(namespace=line.strip()))
        snapshot = read_board(ARCHIVE_BOARD, settings)
        answers.write((snapshot.model_dump_json() if snapshot else json.dumps(None)) + "\n")
        answers.flush()
    # Ray may be gone already, and a disconnection would wait for it.
    os._exit(0)


if __name__ == "__main__":
    main()
