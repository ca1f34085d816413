"""A real archive under test: its settings, its process, and what a reader sees of it."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds

import finkray
from finkray.ledger.read import read_state
from finkray.status.archive import BalanceSheet, Snapshot
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support import commands
from tests.support.board_reader import board_reader

WAIT_S = 300.0
"""Time limit of a wait: enough for a first start of Spark on a busy machine."""

SNAPSHOT_S = 5.0
"""How long a snapshot may take to come: an archive publishes one each second."""


def wait_until(what: str, done: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
    """Call `done` until its result is true, and return it; fail after `wait_s`.

    It pauses between calls for four times as long as a call takes, 0.1 to 5 s.
    """
    deadline_s = time.monotonic() + wait_s
    while (asked_s := time.monotonic()) < deadline_s:
        if answer := done():
            return answer
        # A command, or a ledger read whole, would else take a core from what is waited for.
        time.sleep(min(max(0.1, 4 * (time.monotonic() - asked_s)), 5.0))
    raise AssertionError(f"waited {wait_s:.0f} s: {what} did not happen")


@dataclass
class ArchiveUnderTest:
    """`python -m finkray.archive` as a process, started as often as the test needs.

    Attributes
    ----------
    root
        the archive's folder
    environment
        environment variables with which the process finds its Ray cluster
    settings
        sections and keys beside those that every test needs
    """

    root: Path
    folder: Path
    bootstrap_servers: str
    topics: Sequence[str]
    environment: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """Write the settings file and return its path."""
        sections: dict[str, dict[str, Any]] = {
            "kafka": {
                "bootstrap_servers": self.bootstrap_servers,
                "topics": list(self.topics),
                "refresh_s": 1.0,
            },
            "archive": {"uri": str(self.root), "lease_ttl_s": 5.0, "low_disk_bytes": 0},
            "ingest": {"held_bytes": "256 MiB", "claim_bytes": "4 MiB", "linger_s": 0.3},
            "ray": {"namespace": self.namespace},
        }
        for section, keys in self.settings.items():
            sections.setdefault(section, {}).update(keys)
        path = self.folder / "finkray.toml"
        path.write_text(
            "\n".join(
                f"[{section}]\n"
                + "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())
                for section, keys in sections.items()
            )
        )
        return path

    @property
    def namespace(self) -> str:
        """The Ray namespace of the archive's actors."""
        return f"test-{self.root.parent.name}"

    @property
    def storage(self) -> Storage:
        """The archive's storage: the folder, unless the settings name another one."""
        keys = self.settings.get("archive", {})
        uri = str(keys.get("uri", self.root))
        return open_storage(StorageLocation(uri, keys.get("options", {})))

    @property
    def log(self) -> Path:
        """The log of all processes of the archive."""
        return self.folder / "archive.log"

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the archive; return at once."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "finkray.archive", "-c", str(self.config), *arguments],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        return self.process

    def running(self) -> "ArchiveUnderTest":
        """Start the archive unless it runs; return it."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        return self

    def stop(self) -> None:
        """Let the archive drain and exit, as Ctrl-C does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return_code = self.process.wait(WAIT_S)
        assert return_code == 0, self.log.read_text()[-3000:]

    def kill(self) -> None:
        """Kill the archive and all that it started."""
        if self.process is None or self.process.poll() is not None:
            return
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in children:
            child.kill()
        self.process.wait(30)

    def wait_for_offsets(self, offsets: int, wait_s: float = WAIT_S, topic: str = "") -> None:
        """Wait until the ledger accounts for this many offsets, of all topics or of one."""

        def enough() -> bool:
            if self.process is not None and self.process.poll() not in (None, 0):
                raise AssertionError(f"the archive ended: {self.log.read_text()[-3000:]}")
            return self.balance(topic).received >= offsets

        try:
            wait_until(f"{offsets} offsets in the ledger", enough, wait_s)
        except AssertionError as error:
            error.add_note(f"The end of the archive's log: {self.log.read_text()[-3000:]}")
            raise

    def wait_for_topic(self, topic: str, offsets: int) -> None:
        """Wait until the ledger has this many offsets of a topic and its files are published."""
        self.wait_for_offsets(offsets, topic=topic)

        def published() -> bool:
            ledger = finkray.open_archive(self.root).ledger().select(["topic", "files"])
            files = [one["files"] for one in ledger.to_pylist() if one["topic"] == topic]
            return all((self.root / file["path"]).exists() for claim in files for file in claim)

        wait_until(f"the files of {topic}", published)

    def balance(self, topic: str = "") -> BalanceSheet:
        """Return the balance sheet of the ledger, for all topics or for one."""
        state = read_state(self.storage).state
        chosen = {at: part for at, part in state.partitions.items() if topic in ("", at.topic)}
        return replace(state, partitions=chosen).balance()

    def offsets(self, topic: str = "") -> Counter[tuple[int, int]]:
        """Count each (partition, offset) in the alert files, for all topics or for one."""
        alerts = ds.dataset(self.root / "alerts", format="parquet")
        wanted = ds.field("kafka_topic") == topic if topic else None
        columns = ["kafka_partition", "kafka_offset"]
        found = alerts.to_table(columns=columns, filter=wanted)
        return Counter(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def finkray(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `finkray` with the settings of the archive, on its Ray."""
        return commands.finkray(
            *(*words, "-c", str(self.config)),
            folder=self.folder,
            environment={**os.environ, **self.environment},
        )

    def snapshot(self) -> Snapshot | None:
        """Return the first snapshot from now on of the archive's board, None if no archive runs.

        If none comes, as from an archive that sleeps, return the last one.
        """
        of_ray = ((k, v) for k, v in self.environment.items() if k.startswith("RAY_"))
        reader = board_reader(*sorted(of_ray))
        now, deadline_s = datetime.now(UTC), time.monotonic() + SNAPSHOT_S
        while (snapshot := reader.read(self.namespace)) is not None and snapshot.at < now:
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.1)
        return snapshot

    def alarms(self) -> set[str]:
        """Return the codes of the raised alarms."""
        snapshot = self.snapshot()
        return {alarm.code for alarm in snapshot.alarms} if snapshot else set()


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{key}" = {_toml(item)}' for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value) if isinstance(value, (int, float)) else f"'{value}'"
