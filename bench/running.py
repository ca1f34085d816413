"""finkray's archive as users run it: a local Ray, and `python -m finkray.archive`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finkray.host.java import find_java
from finkray.ledger.read import read_state
from finkray.settings.ray import RaySettings
from finkray.status.archive import BalanceSheet
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from jobs.cluster.local_ray import find_local_ray, start_local_ray, stop_local_ray

_POLL_S = 0.2
_DRAIN_S = 90.0
_DAEMON_DRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningArchive:
    """A running archive.

    Attributes
    ----------
    process
        The supervisor of its driver.
    root
        Its folder, unless it is in another storage.
    uri
        Of the archive.
    log
        Its log file.
    launched_unix_s
        Time of its start, on a Ray that was up.
    """

    process: "subprocess.Popen[bytes]"
    root: Path
    uri: str
    log: Path
    launched_unix_s: float

    @property
    def storage(self) -> Storage:
        """The storage of the archive."""
        return open_storage(StorageLocation(self.uri))

    def wait_until(
        self, what: str, done: Callable[[BalanceSheet], bool], deadline_s: float
    ) -> None:
        """Wait for a condition on the ledger until a time of the monotonic clock.

        Raises
        ------
        RuntimeError
            The time is up or the archive has ended; the message has the end of its log.
        """
        while not (self.storage.exists() and done(read_state(self.storage).state.balance())):
            if time.monotonic() > deadline_s or self.process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"waited in vain until {what}. The end of the log:\n{tail}")
            time.sleep(_POLL_S)

    @contextmanager
    def daemon(
        self, name: str, module: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a daemon with the archive's settings on its Ray; it drains at the end.

        Parameters
        ----------
        name
            Of its log file.
        module, words
            As in `python -m MODULE --config FILE WORDS`.
        environment
            Variables beside those of the Ray.
        """
        folder = self.root.parent
        ray = find_local_ray(folder / "state")
        if ray is None:
            raise RuntimeError("the archive's Ray is gone")
        config = str(folder / "finkray.toml")
        with (folder / f"{name}.log").open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", module, "--config", config, *words],
                env={**os.environ, **ray.environment(), **(environment or {})},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_DAEMON_DRAIN_S)


@contextmanager
def running_archive(folder: Path, settings: str, uri: str = "") -> Iterator[RunningArchive]:
    """Run an archive in that folder, on a Ray of its own; it drains at the end.

    Parameters
    ----------
    folder
        for all files that it writes
    settings
        TOML, without the archive's URI and the Ray settings
    uri
        of the archive; by default a folder in `folder`
    """
    state = folder / "state"
    state.mkdir(parents=True)
    config = folder / "finkray.toml"
    uri = uri or f"{folder}/archive"
    fixed = f'[archive]\nuri = "{uri}"\n[ray]\naddress = "auto"\n'
    config.write_text(settings + fixed, encoding="utf-8")
    log = folder / "log"
    ray = start_local_ray(state, RaySettings(local_dashboard_port=0))
    try:
        with log.open("ab") as sink:
            launched_unix_s = time.time()
            process = subprocess.Popen(
                [sys.executable, "-m", "finkray.archive", "--config", str(config)],
                env={**os.environ, **find_java().environment(), **ray.environment()},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            yield RunningArchive(process, folder / "archive", uri, log, launched_unix_s)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_DRAIN_S)
    finally:
        stop_local_ray(state)
