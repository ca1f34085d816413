"""Archives that compete for one storage and are killed or stopped at any moment; readers watch.

On a folder, on an object store and on HDFS.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from finkray.audit.audit import audit
from finkray.ledger.claims import read_claims
from finkray.ledger.follow import Follower, Position
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.competing_archive import EXIT_FENCED
from tests.support.hdfs_proxy import running_proxy as running_hdfs_proxy
from tests.support.ledgers import ZTF, compact_now, content
from tests.support.object_store import running_store
from tests.support.store_proxy import Fault, running_proxy

# The first test of all that needs a store builds or fetches it.
pytestmark = pytest.mark.timeout(900)

KILLS = int(os.environ.get("KILLS", "12"))
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    """An empty storage, which other processes open by its URI."""
    if request.param == "folder":
        yield open_storage(StorageLocation(str(tmp_path / "archive")))
        return
    with ExitStack() as stack:
        if request.param.startswith("hdfs"):
            hdfs = request.getfixturevalue("hdfs")
            uri = hdfs.uri
            if request.param != "hdfs":
                uri = stack.enter_context(running_hdfs_proxy(hdfs)).uri
            yield open_storage(StorageLocation(f"{uri}/a b/{tmp_path.name}"))
            return
        store = stack.enter_context(running_store(tmp_path / "store", "observatory"))
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        if request.param != "s3":
            proxy = stack.enter_context(running_proxy(store, Fault.LOSE_ANSWERS))
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield open_storage(StorageLocation("s3://observatory/a b"))


class Watcher:
    """Lists, follows and sums up all the time, as readers do that know nothing of kills."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.seen: dict[str, int] = {}
        self.followed: list[str] = []
        self.rounds = 0
        self.failure: BaseException | None = None
        self._at = Position()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.look()
                self.rounds += 1
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.failure = error

    def look(self) -> None:
        listed = dict(self.storage.walk("alerts"))
        assert self.seen.keys() <= listed.keys(), "a file has gone"
        for path in listed.keys() - self.seen.keys():
            data = self.storage.read(path)
            assert data is not None
            rows = int(data.split()[-1])
            assert data == content(path, rows)
            assert len(data) == listed[path]
            self.seen[path] = rows
        offsets = sorted(tuple(map(int, path.split("-")[-3:-1])) for path in self.seen)
        for (_, last), (first, _) in pairwise(offsets):
            assert last < first, "an offset is in two files"
        for durable in Follower(self.storage, self._at).follow(wait_s=0):
            self._at = Position.from_cursor(durable.cursor)
            self.followed.append(durable.path)
            assert self.storage.size_bytes(durable.path) == durable.file.size_bytes
        state = read_state(self.storage).state
        assert state.balance().difference == 0

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure


def start(storage: Storage, ttl_s: float, seed: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.support.competing_archive",
        storage.uri,
        str(ttl_s),
        str(seed),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def epoch_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("epoch "), f"{line!r}, exit code {process.poll()}"
    return int(line.split()[1])


@pytest.mark.chaos
@pytest.mark.parametrize(
    "storage", ["folder", "s3 that loses answers", "hdfs that loses answers"], indirect=True
)
def test_killed_at_any_moment_nothing_is_lost_or_twice(storage: Storage) -> None:
    """The holder is killed again and again while the next one is already waiting."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    watcher = Watcher(storage)
    running = [start(storage, 60.0, seed), start(storage, 60.0, seed + 1)]
    epochs = []
    try:
        for kill in range(KILLS):
            # Whoever of the two has the lease says so.
            holder = _holder(storage, running)
            epochs.append(epoch_of(holder))
            time.sleep(chance.uniform(0.0, 0.4))
            holder.kill()
            holder.wait()
            running.remove(holder)
            running.append(start(storage, 60.0, seed + kill + 2))
        epoch_of(_holder(storage, running))
        time.sleep(0.5)
    finally:
        for process in running:
            process.kill()
            process.wait()
        watcher.stop()
    assert epochs == sorted(set(epochs)), f"seed {seed}"
    _ends_well(storage, watcher)


@pytest.mark.chaos
@pytest.mark.parametrize("storage", ["folder", "s3", "hdfs"], indirect=True)
def test_one_that_slept_through_its_lease_is_fenced(storage: Storage) -> None:
    """The holder is stopped, not killed; its lease runs out; it wakes up beside its successor."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    watcher = Watcher(storage)
    sleeper = start(storage, 1.0, seed)
    started = [sleeper]
    try:
        for nap in range(2):
            epoch = epoch_of(sleeper)
            time.sleep(chance.uniform(0.1, 0.5))
            sleeper.send_signal(signal.SIGSTOP)
            successor = start(storage, 1.0, seed + nap + 1)
            started.append(successor)
            begun = epoch_of(successor)
            assert begun > epoch
            sleeper.send_signal(signal.SIGCONT)
            assert sleeper.wait(timeout=60) == EXIT_FENCED, f"seed {seed}"
            time.sleep(chance.uniform(0.1, 0.5))
            assert successor.poll() is None
            sleeper = start(storage, 1.0, seed + nap + 100)
            started.append(sleeper)
            successor.kill()
            successor.wait()
    finally:
        for process in started:
            process.kill()
            process.wait()
        watcher.stop()
    _ends_well(storage, watcher)


def _holder(storage: Storage, running: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """The process whose epoch is the latest, once one of them has begun it."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        holders = [
            entry.holder["pid"]
            for entry in read_entries(storage)
            if entry.kind == "opened" and entry.holder is not None
        ]
        for process in running:
            if holders and holders[-1] == process.pid:
                return process
        time.sleep(0.02)
    raise AssertionError("nobody has taken the archive over")


def _ends_well(storage: Storage, watcher: Watcher) -> None:
    last = Ledger.take_over(storage)
    recover(last, storage)
    watcher.look()
    assert watcher.rounds > 5
    report = audit(storage)
    assert report.balanced, report
    claims = read_claims(storage)
    assert report.received == last.frontier(ZTF)
    files = [file["path"] for row in claims["files"].to_pylist() for file in row]
    assert sorted(files) == sorted(watcher.followed)
    assert set(files) == set(watcher.seen)
    assert list(storage.walk("staging")) == []
    compact_now(last)
    assert len(storage.files("ledger/log")) < BLOCK
    assert read_state(storage).state.partitions == last.state.partitions
    assert len(read_claims(storage)) == len(claims)
