"""Judge batches with many filters, each in a process of its own, with limits on time and memory."""

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

from finkray.errors import FilterError
from finkray.host.child_output import ChildOutput
from finkray.host.process_id import ProcessId
from finkray.serving.memory import ProcessMemory
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.filter_file import FilterFile
from finkray.streamout.fork_client import ForkServer
from finkray.streamout.verdict import NOT_JUDGED, PASSED, Fault, Verdicts

_LOOK_S: Final = 0.05
"""Interval between two looks at the memory of busy processes."""

END_GRACE_S: Final = 2.0
"""Time beyond twice the limit of a batch after which a process without an answer is ended: a filter
in Python is interrupted at the limit itself, then its alerts are tried in halves."""


@dataclass(frozen=True, slots=True)
class FilterLimits:
    """Bounds of a filter's process: time for loading and for a batch, resident memory."""

    load_s: float
    batch_s: float
    memory_bytes: int
    nice: int

    @property
    def end_s(self) -> float:
        """Time after which a process without an answer is ended."""
        return 2 * self.batch_s + END_GRACE_S


def limits_of(settings: StreamoutSettings) -> FilterLimits:
    """Return the limits of a filter's process."""
    return FilterLimits(
        load_s=settings.load_s,
        batch_s=settings.batch_s,
        memory_bytes=settings.memory_bytes,
        nice=settings.nice,
    )


class Unjudged(Exception):
    """A process gave no answer for a batch.

    Attributes
    ----------
    fault
        why
    ended
        whether the process was ended, or ended itself
    """

    def __init__(self, fault: Fault, detail: str, *, ended: bool) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.ended = ended


class FilterProcess:
    """One filter in its process. Not for two threads at a time.

    Raises
    ------
    FilterError
        if the fork server has ended
    """

    def __init__(self, definition: FilterFile, fork_server: ForkServer) -> None:
        self.definition = definition
        self._output = ChildOutput(f"filter {definition.name}")
        try:
            pid, connection = fork_server.fork(self._output.descriptor)
        finally:
            self._output.handed_over()
        self.connection = connection
        self.pid = pid
        self._identity = ProcessId.of(pid)
        self._memory = ProcessMemory(pid)

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process without files that it shares."""
        return self._memory.own_bytes()

    def load(self, limits: FilterLimits) -> None:
        """Load the filter.

        Raises
        ------
        FilterError
            if it cannot be loaded within its limits
        """
        raw = asdict(self.definition)
        keys = ("language", "text", "function", "name", "arguments", "columns_as")
        order = {"do": "load", "filter": {key: raw[key] for key in keys}}
        try:
            self.connection.send_bytes(json.dumps(order).encode())
            if not self.connection.poll(limits.load_s):
                detail = f"it was not loaded within {limits.load_s:g} s"
            else:
                answer = json.loads(self.connection.recv_bytes())
                if answer["ok"]:
                    return
                detail = answer["detail"]
        except (EOFError, OSError):
            detail = "its process ended while it was loaded"
        self.end()
        raise FilterError(f"filter {self.definition.name}: {detail}")

    def send(self, columns: pa.Buffer, limits: FilterLimits) -> bool:
        """Give a batch to the process; return False if it does not take it within `end_s`.

        A batch is larger than what the kernel keeps for a process that does not read.
        """
        order = {"do": "judge", "limit_s": limits.batch_s}
        try:
            self.connection.send_bytes(json.dumps(order).encode())
            self.connection.send_bytes(columns)
        except BlockingIOError:
            return False
        except OSError:
            return True  # the process has ended: `receive` says so
        return True

    def receive(self) -> Verdicts:
        """Read the verdicts; call it when the connection is readable.

        Raises
        ------
        Unjudged
            if there are none
        """
        try:
            answer: dict[str, Any] = json.loads(self.connection.recv_bytes())
            if answer["ok"]:
                return _verdicts(answer, self.connection.recv_bytes())
        except (EOFError, OSError):
            self.end()
            raise Unjudged("died", "its process ended", ended=True) from None
        raise Unjudged(answer["fault"], answer["detail"], ended=False)

    def end(self) -> None:
        """End the process, and those that it started."""
        self.connection.close()
        # The fork server reaps it when it ends, and then another process may get its id.
        if not self._identity.is_pid_reused():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._output.join()


class FilterPool:
    """The processes of all filters.

    Parameters
    ----------
    limits
        of each process
    """

    def __init__(self, limits: FilterLimits) -> None:
        self.limits = limits
        self._fork_server: ForkServer | None = None
        self._processes: dict[str, FilterProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, definition: FilterFile) -> FilterProcess:
        """Return the process of a filter, started and loaded if it is not there.

        Raises
        ------
        FilterError
            if it cannot be loaded within its limits
        """
        known = self._processes.get(definition.name)
        if known is not None and known.definition == definition:
            return known
        self.drop(definition.name)
        process = self._fork(definition)
        process.load(self.limits)
        self._processes[definition.name] = process
        return process

    def judge(self, batches: Mapping[str, pa.Table]) -> dict[str, Verdicts | Unjudged]:
        """Judge a batch with several filters at a time, which are loaded.

        Parameters
        ----------
        batches
            for each filter, by name, its columns under the names of its arguments

        Returns
        -------
        dict
            for each filter its verdicts, or why there are none
        """
        out: dict[str, Verdicts | Unjudged] = {}
        # Each process is registered once: `multiprocessing.connection.wait` would register all of
        # them again for each answer, which took more than the filters where there are a hundred.
        with selectors.DefaultSelector() as waiting:
            for name, table in batches.items():
                process = self._processes[name]
                if process.send(_stream(table), self.limits):
                    waiting.register(process.connection, selectors.EVENT_READ, name)
                else:
                    self.drop(name)
                    out[name] = self._late()
            begun_s = time.monotonic()
            look_s = begun_s + _LOOK_S
            while waiting.get_map():
                for key, _ in waiting.select(_LOOK_S):
                    waiting.unregister(key.fileobj)
                    out[key.data] = self._received(key.data)
                if time.monotonic() < look_s:
                    continue
                look_s = time.monotonic() + _LOOK_S
                late = time.monotonic() > begun_s + self.limits.end_s
                for key in list(waiting.get_map().values()):
                    if ended := self._broken_limit(self._processes[key.data], late=late):
                        waiting.unregister(key.fileobj)
                        self.drop(key.data)
                        out[key.data] = ended
        return out

    def memory_bytes(self) -> dict[str, int]:
        """Return the memory of each process, by filter."""
        return {name: process.memory_bytes for name, process in self._processes.items()}

    def drop(self, name: str) -> None:
        """End the process of a filter, if there is one."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.end()

    def close(self) -> None:
        """End all processes."""
        for name in list(self._processes):
            self.drop(name)
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None

    def _fork(self, definition: FilterFile) -> FilterProcess:
        for last in (False, True):
            self._fork_server = self._fork_server or ForkServer(self.limits.nice, self.limits.end_s)
            try:
                return FilterProcess(definition, self._fork_server)
            except FilterError:
                self._fork_server.close()
                self._fork_server = None
                if last:
                    raise
        raise AssertionError  # the second try returns or raises

    def _received(self, name: str) -> Verdicts | Unjudged:
        process = self._processes[name]
        try:
            verdicts: Verdicts | Unjudged = process.receive()
        except Unjudged as error:
            verdicts = error
            if error.ended:
                self.drop(name)
                return verdicts
        # A filter that leaks passes the memory limit between batches.
        if over := self._broken_limit(process, late=False):
            self.drop(name)
            return verdicts if isinstance(verdicts, Verdicts) else over
        return verdicts

    def _broken_limit(self, process: FilterProcess, *, late: bool) -> Unjudged | None:
        if late:
            return self._late()
        taken = process.memory_bytes
        if taken > self.limits.memory_bytes:
            limits = f"{taken / 2**20:.0f} MiB of {self.limits.memory_bytes / 2**20:.0f} MiB"
            return Unjudged("memory", f"it took {limits}", ended=True)
        return None

    def _late(self) -> Unjudged:
        return Unjudged("time", f"no answer within {self.limits.end_s:g} s", ended=True)


def _verdicts(answer: Mapping[str, Any], bits: bytes) -> Verdicts:
    rows = answer["rows"]
    size = (rows + 7) // 8
    passed, valid = (
        np.unpackbits(np.frombuffer(part, np.uint8), count=rows)
        for part in (bits[:size], bits[size:])
    )
    codes = np.where(valid == 1, passed * PASSED, NOT_JUDGED).astype(np.uint8)
    reasons: dict[str, list[int]] = {}
    named = set()
    for row, fault, detail in answer["errors"]:
        reasons.setdefault(f"{fault}: {detail}", []).append(row)
        named.add(row)
    nulls = [row for row in np.flatnonzero(codes == NOT_JUDGED).tolist() if row not in named]
    if nulls:
        reasons["null: its answer is null"] = nulls
    return Verdicts(codes, reasons)


def _stream(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
