"""Keeps one process with the user's code: starts it, asks it, watches it, ends it.

The same on a laptop, in a thread, and on a cluster, in a Ray actor.
"""

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

import finkray
from finkray.errors import ServiceError
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
from finkray.serving.memory import Memory
from finkray.settings.reader import SECRET_NAME

LOOK_S = 0.05
"""How often the memory of a process at work is looked at: leaking 1 GB/s it is found at 50 MB
above the limit, and looking costs 20 us."""

_BROKERS_OWN = re.compile(r"FINKRAY|RAY_|KAFKA_|SASL_|SCHEMA_REGISTRY|SPARK_|PYSPARK_")
"""Variables that begin so are the broker's, and no business of a service."""

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "ARROW_IO_THREADS",
    "NUMBA_NUM_THREADS",
)
"""A service grows by processes: threads in each of them would only be in each other's way."""

log = logging.getLogger(__name__)


class Worker:
    """A process with a service in it. Not for two threads at a time.

    Parameters
    ----------
    spec
        which service
    limits
        what it may take

    Attributes
    ----------
    unpicklable
        why the service cannot be pickled before it is set up; empty if it can
    """

    def __init__(self, spec: Spec, limits: Limits) -> None:
        self._spec = spec
        self._limits = limits
        self._about: Described | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._memory: Memory | None = None
        self._batches = 0
        self.unpicklable = ""

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> Described:
        """Have a process that has loaded the service and is set up: at once if there is one.

        Raises
        ------
        ServiceError
            if it cannot be loaded within its limits
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
        """What the service declares, without setting it up.

        Raises
        ------
        ServiceError
            if it cannot be loaded within its limits
        """
        try:
            return self._load(set_up=False)
        finally:
            self._end()

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch. Never raises for what the service does."""
        try:
            self.start()
        except ServiceError as error:
            return Answer(fault="start", detail=str(error))
        order = {
            "do": "process",
            "slices": [slice_to_json(part) for part in slices],
        }
        self._batches += 1
        answer, stream = self._ask(order, self._limits.batch_s)
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
        """End the process, which may let go of what it took."""
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
        about, self.unpicklable = self._ask_for_description(load, ends_s)
        # Which settings are the service's own is known once it has said its name.
        given = self._limits.settings
        configure = {
            "do": "configure",
            "settings": given.own.get(about.name, {}),
            "shared": {name: given.shared.get(name, {}) for name in about.shares},
            "set_up": set_up,
        }
        return self._ask_for_description(configure, ends_s)[0]

    def _ask_for_description(
        self, order: Mapping[str, object], ends_s: float
    ) -> tuple[Described, str]:
        answer, schema = self._ask(order, max(0.0, ends_s - time.monotonic()))
        if schema is None:
            self._end()
            if answer["fault"] == "time":
                answer["detail"] = f"no answer within {self._limits.start_s:g} s"
            raise ServiceError(f"{self._spec.name} does not start: {answer['detail']}")
        about = described_from_json(answer, pa.ipc.read_schema(pa.py_buffer(schema)))
        return about, answer["unpicklable"]

    def _spawn(self) -> None:
        mine, its = socket.socketpair()
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
                env=child_environment(os.environ, self._limits.pass_env),
                start_new_session=True,
            )
        self._connection = Connection(mine.detach())
        self._memory = Memory(self._process.pid)
        self._batches = 0

    def _ask(
        self, order: Mapping[str, object], limit_s: float
    ) -> tuple[dict[str, Any], bytes | None]:
        """What the process answers: words and Arrow, or words alone, which say why not."""
        connection, process, memory = self._connection, self._process, self._memory
        assert connection and process and memory  # noqa: S101,PT018
        ends_s = time.monotonic() + limit_s
        try:
            connection.send_bytes(json.dumps(order).encode())
            answered = False
            while not answered:
                answered = connection.poll(LOOK_S)
                if not answered and time.monotonic() > ends_s:
                    return _fault("time", f"no answer within {limit_s:g} s"), None
                # Also after an answer: what leaks a little with each quick batch is seen too.
                memory_bytes = memory.own_bytes()
                if memory_bytes > self._limits.memory_bytes:
                    limit = self._limits.memory_bytes
                    return _fault("memory", f"it took {_mib(memory_bytes)} of {_mib(limit)}"), None
            words = json.loads(connection.recv_bytes())
            return words, connection.recv_bytes() if words["ok"] else None
        except (EOFError, OSError):
            return _fault("died", _end_text(process)), None

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # with what it may have started
            self._process.wait()
            self._process = None


def child_environment(
    environment: Mapping[str, str], pass_env: Sequence[str] = ()
) -> dict[str, str]:
    """What the user's code finds in its environment: nothing of the broker's, no secrets.

    Parameters
    ----------
    environment
        of the process that starts it
    pass_env
        names that it gets although they look like secrets
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in pass_env or not (_BROKERS_OWN.match(name) or SECRET_NAME.search(name))
    }
    # Where Ray has unpacked finkray, it is not installed.
    places = [
        str(Path(finkray.__file__).parents[1]),
        *filter(None, [environment.get("PYTHONPATH")]),
    ]
    own = {"PYTHONPATH": os.pathsep.join(places)}
    return {**dict.fromkeys(_ONE_THREAD, "1"), **kept, **own}


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
