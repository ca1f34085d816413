"""Identify a process, so that another process can find out whether it still runs."""

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class ProcessId:
    """The identity of a process among all processes of all machines.

    Attributes
    ----------
    host
        name of the machine, for people
    boot_id
        id of the running kernel; different after each start of the machine
    pid_namespace
        the namespace of `pid`; each container of a machine may have its own
    pid
        process id in that namespace
    started
        start time as the kernel counts it, which differs when the pid is used again
    """

    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def mine(cls) -> "ProcessId":
        """Return the identity of this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Return the identity of a process of this machine, which runs."""
        found = _state_and_start(pid)
        start = "" if found is None else found[1]
        return cls(socket.gethostname(), _boot_id(), _pid_namespace(), pid, start)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dictionary."""
        return asdict(self)

    def can_see(self, other: "ProcessId") -> bool:
        """Return whether the processes see each other: same machine, boot and pid namespace."""
        return (self.boot_id, self.pid_namespace) == (other.boot_id, other.pid_namespace)

    def is_running(self) -> bool:
        """Return whether the process runs; call it only in a process that `can_see` it."""
        found = _state_and_start(self.pid)
        return found is not None and found[0] not in "ZX" and found[1] == self.started

    def is_pid_reused(self) -> bool:
        """Return whether another process has the pid; call it as `is_running`."""
        found = _state_and_start(self.pid)
        return found is not None and found[1] != self.started


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        # Not Linux: a machine starts at most once a minute.
        return f"{socket.gethostname()}-{int(psutil.boot_time() // 60)}"


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str] | None:
    """Return the letter of a process's state, Z of a zombie, and its start; None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name in parentheses may be any bytes; the state is field 3, the start field 22.
        # The start is in ticks since the boot, so setting the clock does not change it.
        fields = stat.read_bytes().rpartition(b")")[2].decode("ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        fields = []
    if fields:
        return fields[0], fields[19]
    if Path("/proc/self/stat").exists():
        return None
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return "Z" if ended else "R", f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
