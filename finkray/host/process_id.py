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
        pid = os.getpid()
        return cls(socket.gethostname(), _boot_id(), _pid_namespace(), pid, _start_time(pid) or "")

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dictionary."""
        return asdict(self)

    def can_see(self, other: "ProcessId") -> bool:
        """Return whether the processes see each other: same machine, boot and pid namespace."""
        return (self.boot_id, self.pid_namespace) == (other.boot_id, other.pid_namespace)

    def is_running(self) -> bool:
        """Return whether the process runs; call it only in a process that `can_see` it."""
        return _start_time(self.pid) == self.started


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


def _start_time(pid: int) -> str | None:
    """Return the start time of a process, or None if it does not exist or is a zombie."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name in parentheses may contain spaces; the state is field 3, the start field 22.
        # The start is in ticks since the boot, so setting the clock does not change it.
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        fields = []
    if fields:
        return None if fields[0] in "ZX" else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return None if ended else f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
