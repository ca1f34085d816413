"""Who a process is, said so that another process can tell whether it still runs."""

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process among all processes of all machines.

    Attributes
    ----------
    host
        name of the machine, for people
    boot_id
        of the running kernel: another after each start of the machine
    pid_namespace
        in which `pid` counts; containers of one machine may each have their own
    pid
        number of the process
    started
        when it began, in the kernel's own count: a number that is used again begins later
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
        """The process that asks."""
        pid = os.getpid()
        return cls(socket.gethostname(), _boot_id(), _pid_namespace(), pid, _started(pid) or "")

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    def is_near(self, other: "ProcessId") -> bool:
        """Whether each of the two can look for the other: same machine, boot and namespace."""
        return (self.boot_id, self.pid_namespace) == (other.boot_id, other.pid_namespace)

    def is_running(self) -> bool:
        """Whether it runs, asked from a process that `is_near` it."""
        return _started(self.pid) == self.started


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


def _started(pid: int) -> str | None:
    """When a process began; None if it is not there, or only its exit code is."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name in parentheses may hold spaces; the state is field 3, the start field 22.
        # It is in ticks since the boot, so no clock that is set anew changes it.
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        fields = []
    if fields:
        return None if fields[0] in "ZX" else fields[19]
    if Path("/proc/self/stat").exists():
        return None
    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return None if gone else f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
