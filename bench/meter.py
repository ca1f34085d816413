"""Measure CPU time and memory of a process and everything it started."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from finkray.host.processes import running_processes


@dataclass(frozen=True, slots=True)
class Sample:
    """The CPU time and memory of all processes at one time.

    Attributes
    ----------
    at_unix_s
        Time of the sample.
    cpu_s
        CPU seconds that all of them used so far, ended processes included.
    rss_bytes
        Sum of their resident memory; memory that several of them share counts several times.
    """

    at_unix_s: float
    cpu_s: float
    rss_bytes: int


class Meter:
    """Follow a process and all its descendants, also those whose parent has ended.

    The CPU time of a process between its last sample and its end is missed.

    Parameters
    ----------
    pid
        of the process
    without
        words of command lines; processes with such a word do not count, nor does this one
    """

    def __init__(self, pid: int, without: Sequence[str] = ()) -> None:
        self._without = without
        self._known = {psutil.Process(pid)}
        self._cpu_s: dict[psutil.Process, float] = {}

    def sample(self) -> Sample:
        """Measure all processes now."""
        rss_bytes = 0
        for process in self._family():
            try:
                if self._without and self._left_out(process):
                    continue
                with process.oneshot():
                    times = process.cpu_times()
                    rss_bytes += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self._cpu_s[process] = times.user + times.system
        return Sample(time.time(), sum(self._cpu_s.values()), rss_bytes)

    def end_all(self) -> None:
        """Kill the processes that still run."""
        alive = self._family()
        for process in alive:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=10)

    def _left_out(self, process: psutil.Process) -> bool:
        command = " ".join(process.cmdline())
        return process.pid == os.getpid() or any(text in command for text in self._without)

    def _family(self) -> list[psutil.Process]:
        children: dict[int, list[psutil.Process]] = {}
        for process in running_processes():
            with suppress(psutil.NoSuchProcess):
                children.setdefault(process.ppid(), []).append(process)
        waiting = list(self._known)
        while waiting:
            for child in children.get(waiting.pop().pid, ()):
                if child not in self._known:
                    self._known.add(child)
                    waiting.append(child)
        self._known = {process for process in self._known if process.is_running()}
        return list(self._known)
