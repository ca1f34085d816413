"""Processes that compete for one archive: `tests.support.competing_archive`, two at a time."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from finkray.storage.contract import Storage

_REPOSITORY = Path(__file__).parents[2]
_WAIT_S = 120.0


@dataclass(eq=False)
class Competitor:
    """A process, and what it has said.

    Attributes
    ----------
    process
        the process
    begun, fenced
        its epochs
    ended
        epoch and reason, if the storage ended it
    """

    process: subprocess.Popen[str]
    begun: list[int] = field(default_factory=list)
    fenced: list[int] = field(default_factory=list)
    ended: str = ""

    @property
    def epoch(self) -> int:
        """The epoch that it began last, 0 before the first."""
        return max(self.begun, default=0)

    def listen(self) -> None:
        """Read what the process prints, until it has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event, _, rest = line.strip().partition(" ")
            if event == "epoch":
                self.begun.append(int(rest))
            elif event == "fenced":
                self.fenced.append(int(rest))
            else:
                self.ended = rest


class Competitors:
    """Two processes that compete for an archive; a context manager.

    One that is killed, or that the storage ended, is followed by a fresh one.

    Parameters
    ----------
    storage
        of the archive
    ttl_s
        of its lease
    seed
        of the claims that they make
    """

    def __init__(self, storage: Storage, ttl_s: float, seed: int) -> None:
        self._uri = storage.uri
        self._ttl_s = ttl_s
        self._seed = seed
        self._running: list[Competitor] = []
        self._all: list[Competitor] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start()
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._running:
            each.process.kill()
            each.process.wait()
        for thread in self._threads:
            thread.join()

    @property
    def begun(self) -> list[int]:
        """All epochs that began."""
        return [epoch for each in self._all for epoch in each.begun]

    @property
    def fenced(self) -> list[int]:
        """All epochs whose archive was fenced."""
        return [epoch for each in self._all for epoch in each.fenced]

    @property
    def ended(self) -> list[str]:
        """Epoch and reason of each that the storage ended."""
        return [each.ended for each in self._all if each.ended]

    def holder(self) -> Competitor:
        """Return the process with the latest epoch, once that is one that runs."""
        found: list[Competitor] = []

        def look() -> bool:
            self.restart_ended()
            latest = max(self._all, key=lambda each: each.epoch)
            if latest.epoch and latest in self._running and latest.epoch not in latest.fenced:
                found.append(latest)
            return bool(found)

        self._wait(look, "no archive has begun an epoch")
        return found[0]

    def kill(self, competitor: Competitor) -> None:
        """End a process as a crash would (SIGKILL), and start another one."""
        competitor.process.kill()
        competitor.process.wait()
        self._running.remove(competitor)
        self._start()

    def wait_for_an_epoch_after(self, epoch: int, *, not_of: Competitor) -> None:
        """Wait until another process has begun a later epoch."""
        self._wait(
            lambda: any(each.epoch > epoch for each in self._all if each is not not_of),
            f"no archive has taken over from epoch {epoch}",
        )

    def wait_until_fenced(self, zombie: Competitor, epoch: int) -> None:
        """Wait until a process has said that its epoch is fenced."""
        self._wait(lambda: epoch in zombie.fenced, f"epoch {epoch} was not fenced")

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.support.competing_archive", self._uri]
        command += [str(self._ttl_s), str(self._seed + len(self._all))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_REPOSITORY)
        competitor = Competitor(process)
        thread = threading.Thread(target=competitor.listen)
        thread.start()
        self._threads.append(thread)
        self._running.append(competitor)
        self._all.append(competitor)

    def restart_ended(self) -> None:
        """Start a fresh process for each that the storage has ended, as a supervisor does."""
        for each in [each for each in self._running if each.process.poll() is not None]:
            self._running.remove(each)
            self._start()

    def _wait(self, condition: Callable[[], bool], failure: str) -> None:
        ends_s = time.monotonic() + _WAIT_S
        while not condition():
            assert time.monotonic() < ends_s, f"{failure}; ended by the storage: {self.ended}"
            time.sleep(0.01)
