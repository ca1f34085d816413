"""The process of the Ray watcher: whether it runs, and how it is ended."""

import json
from pathlib import Path
from typing import Final

from finkray.host.process import ProcessRecord
from finkray.host.records import read_record, write_private
from finkray.host.supervise import left_in
from jobs.cluster.orphans import kill

_FILE: Final = "watcher.json"

_ADVICE: Final = (
    "delete it. If a Ray watcher runs, it ends by itself when no job is left that was started and "
    "not stopped"
)


def watcher_runs(state: Path) -> bool:
    """Return whether the watcher of a state folder runs."""
    record = _record(state)
    return record is not None and record.process() is not None


def record_watcher(state: Path, pid: int) -> None:
    """Record the process of the watcher, which has the state folder in its command line."""
    record = ProcessRecord.of(pid, mark=str(state))
    write_private(state / _FILE, json.dumps(record.to_json()))


def forget_watcher(state: Path) -> None:
    """Remove the record of a watcher that ends."""
    (state / _FILE).unlink(missing_ok=True)


def end_watcher(state: Path) -> None:
    """End the watcher, if it runs, with a start of Ray that it has begun."""
    record = _record(state)
    if record and record.process():
        kill(left_in(record.pid))  # it is the first process of its session
    forget_watcher(state)


def _record(state: Path) -> ProcessRecord | None:
    return read_record(state / _FILE, _parse, _ADVICE)


def _parse(data: bytes) -> ProcessRecord:
    return ProcessRecord.from_json(json.loads(data))
