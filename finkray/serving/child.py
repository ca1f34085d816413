"""The process in which the user's code runs: `python -m finkray.serving.child DESCRIPTOR PID NICE`.

Its only connection is a socket to the worker that started it, and its environment has no secrets
of finkray. It may hang, leak and die: it exists to contain that.

Each message is JSON, some followed by Arrow or a file descriptor. From the worker, and the reply:

    {"do": "load", "spec": …, "folder": …}   -> {"ok": true, …}, the output's schema
    {"do": "configure", "settings": …,
     "shared": …, "set_up": …}               -> the same: settings may change the version
    {"do": "process", "slices": […]}         -> {"ok": true, …}, the answer as an IPC stream
    any of them                              -> {"ok": false, "fault": …, "detail": …}

Before it replies to "process", the child requests each file that it has not read yet:

    {"open": path, "columns": […]}           -> {"form": …}, a descriptor
                                             -> {"error": …}
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
from finkray.serving.handover import Handover, read_handed_over, receive_descriptor
from finkray.serving.slice_reader import SliceReader
from finkray.text import error_text

DETAIL_CHARS = 500
"""Most characters of the text of an exception in a reply; the log has all of it, once."""

SAMPLE_ROWS = 16
"""Alerts of a refused batch that are tried alone, to find out whether any can be answered."""


class Child:
    """Loads a service and processes batches until the worker closes the connection.

    Parameters
    ----------
    connection
        to the worker
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._service: Service | None = None
        self._about: Described | None = None
        self._reader: SliceReader | None = None
        self._logged: set[str] = set()

    def run(self) -> None:
        """Reply to each message."""
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
                self._process([slice_from_json(slice_) for slice_ in order["slices"]])
        if self._service is not None:
            self._service.close()

    def _load(self, spec: str, folder: str) -> None:
        if folder:
            sys.path.insert(0, folder)
        try:
            self._service = load_service(spec)
            self._describe(self._service, _unpicklable(self._service))
        except ServiceError as error:
            self._reply_fault("raised", str(error))

    def _configure(
        self,
        settings: Mapping[str, Any],
        shared: Mapping[str, Mapping[str, Any]],
        *,
        set_up: bool,
    ) -> None:
        service = self._service
        assert service is not None  # noqa: S101 - the worker loads it first
        service.settings, service.shared = settings, shared
        try:
            if set_up:
                try:
                    service.setup()
                except Exception as error:
                    traceback.print_exc()
                    name = describe(service).name
                    raise ServiceError(f"setup of {name}: {error_text(error)}") from error
            self._describe(service, "")
        except ServiceError as error:
            self._reply_fault("raised", str(error))

    def _describe(self, service: Service, unpicklable: str) -> None:
        about = describe(service)
        self._about, self._reader = about, SliceReader(about, self._read_columns)
        reply = {"ok": True, "unpicklable": unpicklable, **described_to_json(about)}
        self._reply(reply, about.output.serialize())

    def _process(self, slices: Sequence[Slice]) -> None:
        service, about, reader = self._service, self._about, self._reader
        assert service and about and reader  # noqa: S101,PT018 - the worker loads it first
        try:
            read = [reader.read(slice_) for slice_ in slices]
        except (OSError, pa.ArrowException) as error:
            self._reply_fault("unreadable", error_text(error))
            return
        skipped = [not fits for fits, _ in read]
        tables = [table for fits, table in read if fits]
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        try:
            answered = answer_groups(
                lambda batch: call(service, about.output, batch), united(tables), about.output
            )
        except AnswerRefused as error:
            self._log_once(error)
            self._reply_fault(error.fault, error.detail)
            return
        for refused in answered.refused.values():
            self._log_once(refused)
        times = {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}
        table, rows = with_skipped(answered.table, [slice_.rows for slice_ in slices], skipped)
        errors = [
            [int(rows[row]), refused.fault, refused.detail[:DETAIL_CHARS]]
            for row, refused in sorted(answered.refused.items())
        ]
        self._reply({"ok": True, "skipped": skipped, "errors": errors, **times}, _to_ipc(table))

    def _read_columns(self, path: str, columns: Sequence[str]) -> pa.Table:
        """Read columns of a file of the archive, which the worker opens."""
        request = {"open": path, "columns": list(columns)}
        self._connection.send_bytes(json.dumps(request).encode())
        reply = json.loads(self._connection.recv_bytes())
        if "error" in reply:
            raise OSError(reply["error"])
        handover = Handover(reply["form"], receive_descriptor(self._connection))
        return read_handed_over(handover, columns)

    def _log_once(self, refused: "AnswerRefused") -> None:
        """Print the traceback of an exception of the service, once for each line that raises."""
        if refused.fault != "raised":  # the detail of the fault has everything
            return
        error = refused.error
        trace = traceback.extract_tb(error.__traceback__)
        line = f"{type(error).__name__} at {trace[-1] if trace else None}"
        if line not in self._logged:
            self._logged.add(line)
            traceback.print_exception(error)

    def _reply_fault(self, fault: Fault, detail: str) -> None:
        self._reply({"ok": False, "fault": fault, "detail": detail[:DETAIL_CHARS]})

    def _reply(self, message: dict[str, Any], arrow: pa.Buffer | None = None) -> None:
        self._connection.send_bytes(json.dumps(message).encode())
        if arrow is not None:
            self._connection.send_bytes(arrow)


def call(service: Service, output: pa.Schema, alerts: pa.Table) -> pa.Table:
    """Call the service and return its answer, checked against what it declares.

    Raises
    ------
    AnswerRefused
        if the service raises, or its answer is not as declared
    """
    try:
        return accept(output, alerts.num_rows, service.process(alerts))
    except ServiceError as error:
        raise AnswerRefused("contract", str(error), error) from error
    except Exception as error:
        raise AnswerRefused("raised", error_text(error), error) from error


def united(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Concatenate neighbouring tables whose column types can be unified; return the tables."""
    united: list[pa.Table] = []
    for table in tables:
        try:
            united[-1] = pa.concat_tables([united[-1], table], promote_options="permissive")
        except (IndexError, pa.ArrowInvalid, pa.ArrowTypeError):
            united.append(table)
    return united


def answer_groups(
    process: Callable[[pa.Table], pa.Table], groups: Sequence[pa.Table], output: pa.Schema
) -> "AnsweredRows":
    """Return the answers of `answer_each` for tables with different types, as one table.

    Raises
    ------
    AnswerRefused
        if no alert of any table gets an answer
    """
    if len(groups) <= 1:
        return answer_each(process, groups[0] if groups else None, output)
    answers: list[pa.Table] = []
    refused: dict[int, AnswerRefused] = {}
    refusal: AnswerRefused | None = None
    first = 0
    for group in groups:
        try:
            answered = answer_each(process, group, output)
        except AnswerRefused as error:
            refusal = error
            refused |= dict.fromkeys(range(first, first + group.num_rows), error)
            answers.append(null_rows(group.num_rows, output))
        else:
            refused |= {first + row: error for row, error in answered.refused.items()}
            answers.append(answered.table)
        first += group.num_rows
    if refusal is not None and len(refused) == first:
        raise refusal
    return AnsweredRows(pa.concat_tables(answers), refused)


def answer_each(
    process: Callable[[pa.Table], pa.Table], alerts: pa.Table | None, output: pa.Schema
) -> "AnsweredRows":
    """Return the answers for all alerts except those that make the service fail.

    If a batch is refused, its halves are tried, and their halves, until each alert that causes a
    refusal is alone.

    Parameters
    ----------
    process
        returns the answer for some alerts, or raises `AnswerRefused`
    alerts
        the batch; None if there is nothing to process
    output
        the columns that the service adds

    Raises
    ------
    AnswerRefused
        if no alert gets an answer, judged by up to about `SAMPLE_ROWS` of them
    """
    nullable = pa.schema([field.with_nullable(True) for field in output])  # noqa: FBT003
    if alerts is None:
        return AnsweredRows(nullable.empty_table(), {})
    try:
        return AnsweredRows(process(alerts).cast(nullable), {})
    except AnswerRefused:
        if not _any_is_answered(process, alerts):
            raise
    answers: list[pa.Table] = []
    refused: dict[int, AnswerRefused] = {}
    waiting = [(0, alerts.num_rows)]
    while waiting:
        first, end = waiting.pop()
        try:
            answers.append(process(alerts.slice(first, end - first)).cast(nullable))
        except AnswerRefused as error:
            if end - first == 1:
                refused[first] = error
                answers.append(null_rows(1, nullable))
            else:
                middle = (first + end) // 2
                waiting += [(middle, end), (first, middle)]  # the first is popped first
    return AnsweredRows(pa.concat_tables(answers), refused)


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """A row for each alert; the rows that `refused` names have nulls."""

    table: pa.Table
    refused: "dict[int, AnswerRefused]"


class AnswerRefused(Exception):
    """The service raised, or its answer is not as declared."""

    def __init__(self, fault: Fault, detail: str, error: Exception) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.error = error


def _any_is_answered(process: Callable[[pa.Table], pa.Table], alerts: pa.Table) -> bool:
    step = max(1, alerts.num_rows // SAMPLE_ROWS)
    for row in range(0, alerts.num_rows, step):
        with suppress(AnswerRefused):
            process(alerts.slice(row, 1))
            return True
    return False


def with_skipped(
    answer: pa.Table, rows: Sequence[int], skipped: Sequence[bool]
) -> tuple[pa.Table, np.ndarray]:
    """Insert nulls for skipped slices into an answer.

    Parameters
    ----------
    answer
        for the alerts of all slices that were not skipped
    rows, skipped
        of each slice: its number of alerts, and whether it was skipped

    Returns
    -------
    Table
        a row for each alert of all slices
    ndarray
        for each row of `answer` its row in that table
    """
    tables, first = [], 0
    for count, skip in zip(rows, skipped, strict=True):
        tables.append(null_rows(count, answer.schema) if skip else answer.slice(first, count))
        first += 0 if skip else count
    has_answer = np.repeat(~np.array(skipped, bool), np.array(rows, int))
    return pa.concat_tables([*tables, answer.schema.empty_table()]), np.flatnonzero(has_answer)


def _unpicklable(service: Service) -> str:
    """Return why the service cannot be pickled before it is set up; empty if it can."""
    try:
        pickle.loads(pickle.dumps(service))  # noqa: S301 - pickled in the same line
    except Exception as error:  # noqa: BLE001 - the user's objects may raise anything
        return error_text(error)
    return ""


def _to_ipc(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _die_with(parent_pid: int) -> None:
    """Let the kernel end this process together with the worker's (Linux)."""
    from finkray.host.supervise import die_with_parent

    die_with_parent(parent_pid)()


def main() -> None:
    """Serve the worker at the other end of the socket."""
    descriptor, parent_pid, nice = map(int, sys.argv[1:4])
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a Ctrl-C is for the command, which closes the connection
    if sys.platform == "linux":
        _die_with(parent_pid)
    os.nice(nice)
    connection = Connection(socket.socket(fileno=descriptor).detach())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what a killed one said
    Child(connection).run()


if __name__ == "__main__":
    main()
