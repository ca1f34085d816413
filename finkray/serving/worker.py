"""Run the child process of one worker: start it, send it batches, enforce its limits, end it.

The same code runs in a thread of a local run and in a Ray actor on a cluster. The child cannot open
files of the archive; the worker opens them for it, see `finkray.serving.handover`.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from finkray.errors import ServiceError, StorageError
from finkray.host.child_output import ChildOutput
from finkray.host.sockets import limit_sending
from finkray.services.messages import (
    Answer,
    Fault,
    Limits,
    Slice,
    Spec,
    described_from_json,
    slice_to_json,
)
from finkray.services.service import Described
from finkray.serving.environment import child_environment
from finkray.serving.handover import open_for_child, send_descriptor
from finkray.serving.memory import ProcessMemory
from finkray.storage.contract import Storage

LOOK_S = 0.05
"""Interval between two looks at the memory of a busy child. A leak of 1 GB/s is found 50 MB above
the limit; a look costs 20 us."""

log = logging.getLogger(__name__)


class Worker:
    """A child process with a service. Not for two threads at a time.

    Parameters
    ----------
    spec
        the service
    limits
        bounds of time and memory for the child
    archive
        the storage that files are read from

    Attributes
    ----------
    unpicklable
        why the service cannot be pickled before it is set up; empty if it can
    """

    def __init__(self, spec: Spec, limits: Limits, archive: Storage) -> None:
        self._spec = spec
        self._limits = limits
        self._archive = archive
        self._batch_files: frozenset[str] = frozenset()
        self._about: Described | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._output: ChildOutput | None = None
        self._connection: Connection | None = None
        self._memory: ProcessMemory | None = None
        self._batches = 0
        self.unpicklable = ""

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None before start."""
        return None if self._process is None else self._process.pid

    def start(self) -> Described:
        """Start the child and set the service up; return at once if it is up already.

        A child that has processed `recycle_batches` batches is replaced.

        Raises
        ------
        ServiceError
            if the service cannot be loaded and set up within its limits
        """
        if self._process is not None and self._batches >= self._limits.recycle_batches:
            self.close()
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is not None and self._about is not None:
            return self._about
        self._about = self._load(set_up=True)
        return self._about

    def describe(self) -> Described:
        """Return what the service declares, without setting it up.

        Raises
        ------
        ServiceError
            if the service cannot be loaded within its limits
        """
        try:
            return self._load(set_up=False)
        finally:
            self._end()

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch. Failures of the service are in the answer, never raised."""
        try:
            self.start()
        except ServiceError as error:
            return Answer(fault="start", detail=str(error))
        order = {
            "do": "process",
            "slices": [slice_to_json(slice_) for slice_ in slices],
        }
        self._batches += 1
        self._batch_files = frozenset(path for slice_ in slices for path in slice_.files)
        answer, stream = self._request(order, self._limits.batch_s)
        memory_bytes = self._memory.own_bytes() if self._memory else 0
        if stream is None:
            if answer["fault"] in ("time", "memory", "died"):
                self._end()
            return Answer(fault=answer["fault"], detail=answer["detail"], memory_bytes=memory_bytes)
        with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
            table = reader.read_all()
        return Answer(
            table=table,
            skipped=tuple(answer["skipped"]),
            errors=tuple((row, fault, detail) for row, fault, detail in answer["errors"]),
            wall_s=answer["wall_s"],
            cpu_s=answer["cpu_s"],
            memory_bytes=memory_bytes,
        )

    def close(self) -> None:
        """End the child; it may first release what the service holds, in `close` of the service."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2.0)
        self._end()

    def _load(self, *, set_up: bool) -> Described:
        self._spawn()
        ends_s = time.monotonic() + self._limits.start_s
        load = {"do": "load", "spec": self._spec.name, "folder": self._spec.folder}
        about, self.unpicklable = self._request_description(load, ends_s)
        # The service's own settings are found by its name, which is known only now.
        settings = self._limits.settings
        configure = {
            "do": "configure",
            "settings": settings.own.get(about.name, {}),
            "shared": {name: settings.shared.get(name, {}) for name in about.shares},
            "set_up": set_up,
        }
        return self._request_description(configure, ends_s)[0]

    def _request_description(
        self, order: Mapping[str, object], ends_s: float
    ) -> tuple[Described, str]:
        answer, schema = self._request(order, max(0.0, ends_s - time.monotonic()))
        if schema is None:
            self._end()
            if answer["fault"] == "time":
                answer["detail"] = f"no answer within {self._limits.start_s:g} s"
            raise ServiceError(f"{self._spec.name} does not start: {answer['detail']}")
        about = described_from_json(answer, pa.ipc.read_schema(pa.py_buffer(schema)))
        return about, answer["unpicklable"]

    def _spawn(self) -> None:
        mine, its = socket.socketpair()
        limit_sending(mine, self._limits.batch_s)
        self._output = ChildOutput(f"service {self._spec.name}")
        try:
            with its:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "finkray.serving.child",
                        str(its.fileno()),
                        str(os.getpid()),
                        str(self._limits.nice),
                    ],
                    pass_fds=[its.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=self._output.descriptor,
                    stderr=self._output.descriptor,
                    env=child_environment(os.environ, self._limits.pass_env),
                    start_new_session=True,
                )
        finally:
            self._output.handed_over()
        self._connection = Connection(mine.detach())
        self._memory = ProcessMemory(self._process.pid)
        self._batches = 0
        self._batch_files = frozenset()

    def _request(
        self, order: Mapping[str, object], limit_s: float
    ) -> tuple[dict[str, Any], bytes | None]:
        """Send a message and return the reply, with its Arrow data unless it is a fault.

        Opening files for the child does not count against the limit.
        """
        connection, process, memory = self._connection, self._process, self._memory
        assert connection and process and memory  # noqa: S101,PT018
        ends_s = time.monotonic() + limit_s
        try:
            connection.send_bytes(json.dumps(order).encode())
            while True:
                answered = connection.poll(LOOK_S)
                if not answered and time.monotonic() > ends_s:
                    return _fault("time", f"no answer within {limit_s:g} s"), None
                # Checked after an answer too: finds what leaks a little in each quick batch.
                memory_bytes = memory.own_bytes()
                if memory_bytes > self._limits.memory_bytes:
                    limit = self._limits.memory_bytes
                    return _fault("memory", f"it took {_mib(memory_bytes)} of {_mib(limit)}"), None
                if not answered:
                    continue
                reply = json.loads(connection.recv_bytes())
                if "open" not in reply:
                    return reply, connection.recv_bytes() if reply["ok"] else None
                begun_s = time.monotonic()
                self._open_for_child(connection, process.pid, reply["open"], reply["columns"])
                ends_s += time.monotonic() - begun_s
        except (EOFError, OSError):
            return _fault("died", _end_text(process)), None

    def _open_for_child(
        self, connection: Connection, pid: int, path: str, columns: Sequence[str]
    ) -> None:
        """Answer a request of the child for columns of a file of its batch."""
        reply = {"error": f"{path} is not in this batch"}
        handover = None
        if path in self._batch_files:
            try:
                handover = open_for_child(self._archive, path, columns)
                reply = {"form": handover.form}
            except StorageError as error:
                reply = {"error": str(error)}
        connection.send_bytes(json.dumps(reply).encode())
        if handover is not None:
            send_descriptor(connection, handover, pid)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # and the processes it started
            self._process.wait()
            self._process = None
        if self._output is not None:
            self._output.join()
            self._output = None


def _fault(fault: Fault, detail: str) -> dict[str, Any]:
    return {"ok": False, "fault": fault, "detail": detail}


def _end_text(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(timeout=5.0)
    except subprocess.TimeoutExpired:
        return "its process hung up"
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"
