"""The process in which the user's code runs: `python -m finkray.serving.child DESCRIPTOR`.

It has no other way to the outside than a socket to the actor that started it, and none of the
broker's secrets in its environment. It may hang, leak and die: that is what it is for.

Each message is JSON, some with Arrow after it:

    {"do": "load", "spec": …, "folder": …}   -> {"ok": true, …}, the output's schema
    {"do": "configure", "settings": …,
     "shared": …, "set_up": …}               -> the same: settings may change the version
    {"do": "process", "slices": […]}         -> {"ok": true, …}, the answer as an IPC stream
    anything                                 -> {"ok": false, "fault": …, "detail": …}
"""

import json
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pyarrow as pa

from finkray.errors import ServiceError
from finkray.services.contract import accept
from finkray.services.messages import (
    Fault,
    Slice,
    described_to_json,
    null_rows,
    slice_from_json,
)
from finkray.services.service import Described, Service, describe, load_service
from finkray.serving.slice_reader import SliceReader

DETAIL_CHARS = 500
"""Of what an exception says; the whole of it goes to the log once."""

SAMPLE_ROWS = 16
"""So many alerts alone, over all of a batch, tell whether any of it can be answered."""


class Child:
    """Loads a service and processes batches until the actor hangs up.

    Parameters
    ----------
    connection
        to the actor
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._service: Service | None = None
        self._about: Described | None = None
        self._reader: SliceReader | None = None
        self._told: set[str] = set()

    def run(self) -> None:
        """Answer each message."""
        while True:
            try:
                order = json.loads(self._connection.recv_bytes())
            except (EOFError, ConnectionResetError):
                break
            if order["do"] == "load":
                self._load(order["spec"], order["folder"])
            elif order["do"] == "configure":
                self._configure(order["settings"], order["shared"], set_up=order["set_up"])
            else:
                self._process([slice_from_json(part) for part in order["slices"]])
        if self._service is not None:
            self._service.close()

    def _load(self, spec: str, folder: str) -> None:
        if folder:
            sys.path.insert(0, folder)
        try:
            self._service = load_service(spec)
            self._describe(self._service, _unpicklable(self._service))
        except ServiceError as error:
            self._refuse("raised", str(error))

    def _configure(
        self,
        settings: Mapping[str, Any],
        shared: Mapping[str, Mapping[str, Any]],
        *,
        set_up: bool,
    ) -> None:
        service = self._service
        assert service is not None  # noqa: S101 - the actor loads first
        service.settings, service.shared = settings, shared
        try:
            if set_up:
                try:
                    service.setup()
                except Exception as error:
                    traceback.print_exc()
                    name = describe(service).name
                    raise ServiceError(f"setup of {name}: {_words(error)}") from error
            self._describe(service, "")
        except ServiceError as error:
            self._refuse("raised", str(error))

    def _describe(self, service: Service, unpicklable: str) -> None:
        about = describe(service)
        self._about, self._reader = about, SliceReader(about)
        words = {"ok": True, "unpicklable": unpicklable, **described_to_json(about)}
        self._say(words, about.output.serialize())

    def _process(self, slices: Sequence[Slice]) -> None:
        service, about, reader = self._service, self._about, self._reader
        assert service and about and reader  # noqa: S101,PT018 - the actor loads first
        try:
            parts = [reader.read(part) for part in slices]
        except (OSError, pa.ArrowException) as error:
            self._refuse("unreadable", _words(error))
            return
        skipped = [not fits for fits, _ in parts]
        tables = [table for fits, table in parts if fits]
        alerts = pa.concat_tables(tables, promote_options="permissive") if tables else None
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        try:
            whole = answer_each(
                lambda part: call(service, about.output, part), alerts, about.output
            )
        except AnswerRefused as nothing:
            self._tell_once(nothing)
            self._refuse(nothing.fault, nothing.detail)
            return
        for refused in whole.refused.values():
            self._tell_once(refused)
        times = {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
        table, places = with_skipped(whole.table, [part.rows for part in slices], skipped)
        errors = [
            [int(places[row]), refused.fault, refused.detail[:DETAIL_CHARS]]
            for row, refused in sorted(whole.refused.items())
        ]
        self._say({"ok": True, "skipped": skipped, "errors": errors, **times}, _to_ipc(table))

    def _tell_once(self, refused: "AnswerRefused") -> None:
        if refused.fault != "raised":  # the words say it all
            return
        error = refused.error
        trace = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} at {trace[-1] if trace else None}"
        if place not in self._told:
            self._told.add(place)
            traceback.print_exception(error)

    def _refuse(self, fault: Fault, detail: str) -> None:
        self._say({"ok": False, "fault": fault, "detail": detail[:DETAIL_CHARS]})

    def _say(self, words: dict[str, Any], arrow: pa.Buffer | None = None) -> None:
        self._connection.send_bytes(json.dumps(words).encode())
        if arrow is not None:
            self._connection.send_bytes(arrow)


def call(service: Service, output: pa.Schema, alerts: pa.Table) -> pa.Table:
    """The service's answer, as declared.

    Raises
    ------
    Refused
        if it raises, or its answer is not as declared
    """
    try:
        return accept(output, alerts.num_rows, service.process(alerts))
    except ServiceError as error:
        raise AnswerRefused("contract", str(error), error) from error
    except Exception as error:
        raise AnswerRefused("raised", _words(error), error) from error


def answer_each(
    ask: Callable[[pa.Table], pa.Table], alerts: pa.Table | None, output: pa.Schema
) -> "AnsweredRows":
    """The answers of all alerts but those of which the service cannot be asked.

    When the whole is refused its halves are tried, and theirs, until the guilty are alone.

    Raises
    ------
    Refused
        if not one alert has an answer, as far as a few of them tell
    """
    nullable = pa.schema([field.with_nullable(True) for field in output])  # noqa: FBT003
    if alerts is None:
        return AnsweredRows(nullable.empty_table(), {})
    try:
        return AnsweredRows(ask(alerts).cast(nullable), {})
    except AnswerRefused:
        if not _any_is_answered(ask, alerts):
            raise
    parts: list[pa.Table] = []
    refused: dict[int, AnswerRefused] = {}
    waiting = [(0, alerts.num_rows)]
    while waiting:
        first, end = waiting.pop()
        try:
            parts.append(ask(alerts.slice(first, end - first)).cast(nullable))
        except AnswerRefused as error:
            if end - first == 1:
                refused[first] = error
                parts.append(null_rows(1, nullable))
            else:
                middle = (first + end) // 2
                waiting += [(middle, end), (first, middle)]  # the first is popped first
    return AnsweredRows(pa.concat_tables(parts), refused)


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """A row for each alert; those that were `refused` have nulls."""

    table: pa.Table
    refused: "dict[int, AnswerRefused]"


class AnswerRefused(Exception):
    """The service gave no answer that counts."""

    def __init__(self, fault: Fault, detail: str, error: Exception) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.error = error


def _any_is_answered(ask: Callable[[pa.Table], pa.Table], alerts: pa.Table) -> bool:
    step = max(1, alerts.num_rows // SAMPLE_ROWS)
    for row in range(0, alerts.num_rows, step):
        with suppress(AnswerRefused):
            ask(alerts.slice(row, 1))
            return True
    return False


def with_skipped(
    answer: pa.Table, rows: Sequence[int], skipped: Sequence[bool]
) -> tuple[pa.Table, np.ndarray]:
    """The answer with nulls for alerts that were not asked about, and where its rows are then."""
    parts, at = [], 0
    for count, skip in zip(rows, skipped, strict=True):
        parts.append(null_rows(count, answer.schema) if skip else answer.slice(at, count))
        at += 0 if skip else count
    asked = np.repeat(~np.array(skipped, bool), np.array(rows, int))
    return pa.concat_tables([*parts, answer.schema.empty_table()]), np.flatnonzero(asked)


def _unpicklable(service: Service) -> str:
    """Why the service, not set up yet, cannot be pickled; empty if it can."""
    try:
        pickle.loads(pickle.dumps(service))  # noqa: S301 - it is what was just made
    except Exception as error:  # noqa: BLE001 - whatever the user's objects raise
        return _words(error)
    return ""


def _to_ipc(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _die_with(parent_pid: int) -> None:
    """Let the kernel end this process with the actor's (Linux)."""
    from finkray.host.supervise import die_with_parent

    die_with_parent(parent_pid)()


def main() -> None:
    """Serve the actor at the other end of the socket."""
    descriptor, parent_pid, nice = map(int, sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the command, which hangs up
    if sys.platform == "linux":
        _die_with(parent_pid)
    os.nice(nice)
    connection = Connection(socket.socket(fileno=descriptor).detach())
    # What the service prints goes where the log goes.
    os.dup2(2, 1)
    Child(connection).run()


if __name__ == "__main__":
    main()
