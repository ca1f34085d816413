"""Archives that compete for one storage and are killed or stopped at any moment; readers watch.

On a folder, on an object store and on HDFS. `make chaos-stores KILLS=200 OUTAGE_S=60` kills more,
the store of each kind among them, and takes it away for a while; `make take-overs TAKE_OVERS=1000`
has as many zombies.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from finkray.audit.audit import audit
from finkray.ledger.claims import read_claims
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.ledger.read import read_state
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.competitors import Competitors
from tests.support.hdfs_proxy import running_proxy as running_hdfs_proxy
from tests.support.hdfs_server import HdfsServer
from tests.support.ledgers import ZTF, compact_now
from tests.support.object_store import ObjectStore, running_store
from tests.support.store_proxy import Fault, running_proxy
from tests.support.watcher import Watcher

KILLS = int(os.environ.get("KILLS", "12"))
OUTAGE_S = float(os.environ.get("OUTAGE_S", "0"))
TAKE_OVERS = int(os.environ.get("TAKE_OVERS", "10"))

# The first test of all that needs a store builds or fetches it.
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.stores,
    pytest.mark.timeout(900 + 15 * KILLS + 10 * TAKE_OVERS + OUTAGE_S),
]


class StoreUnderTest(NamedTuple):
    """A storage, and the server behind it if it may be killed.

    Attributes
    ----------
    storage
        empty; other processes open it by its URI
    server
        None for a folder
    kills_of_writers
        so many for each kill of the server: a restart of HDFS takes 8 s of CPU time
    """

    storage: Storage
    server: ObjectStore | HdfsServer | None = None
    kills_of_writers: int = 0


@pytest.fixture
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StoreUnderTest]:
    if request.param == "folder":
        yield StoreUnderTest(open_storage(StorageLocation(str(tmp_path / "archive"))))
        return
    with ExitStack() as stack:
        if request.param.startswith("hdfs"):
            hdfs = request.getfixturevalue("hdfs")
            uri = hdfs.uri
            if request.param != "hdfs":
                uri = stack.enter_context(running_hdfs_proxy(hdfs)).uri
            yield StoreUnderTest(
                open_storage(StorageLocation(f"{uri}/a b/{tmp_path.name}")), hdfs, 24
            )
            return
        server = stack.enter_context(running_store(tmp_path / "store", "observatory"))
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        if request.param != "s3":
            proxy = stack.enter_context(running_proxy(server, Fault.LOSE_ANSWERS))
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield StoreUnderTest(open_storage(StorageLocation("s3://observatory/a b")), server, 3)


@pytest.mark.parametrize(
    "store",
    [
        "folder",
        "s3 that loses answers",
        pytest.param(
            "hdfs that loses answers",
            marks=pytest.mark.nightly(
                "tests/integration/test_competing_archives.py::"
                "test_killed_at_any_moment_nothing_is_lost_or_twice[s3 that loses answers]"
            ),
        ),
    ],
    indirect=True,
)
def test_killed_at_any_moment_nothing_is_lost_or_twice(store: StoreUnderTest) -> None:
    """The holder is killed again and again, and the store, while another archive is waiting."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    returns_s = []
    with Watcher(store.storage) as watcher, Competitors(store.storage, 60.0, seed) as archives:
        for kill in range(KILLS):
            holder = archives.holder()
            time.sleep(chance.uniform(0.0, 0.4))
            in_the_middle = OUTAGE_S > 0 and kill == KILLS // 2
            if store.server is not None and (
                in_the_middle or kill % (store.kills_of_writers + 1) == store.kills_of_writers
            ):
                store.server.kill()
                time.sleep(OUTAGE_S if in_the_middle else chance.uniform(0.0, 1.0))
                store.server.start()
                returns_s.append(_seconds_until_a_commit(store.storage, archives))
            else:
                archives.kill(holder)
        archives.holder()
        _seconds_until_a_commit(store.storage, archives)
    sys.stdout.write(f"seed {seed}: commits after {sorted(returns_s)} s from the store's return\n")
    assert len(archives.begun) == len(set(archives.begun)), f"seed {seed}"
    _ends_well(store.storage, watcher)


@pytest.mark.parametrize(
    "store",
    [
        "folder",
        "s3",
        pytest.param(
            "hdfs",
            marks=pytest.mark.nightly(
                "tests/integration/test_competing_archives.py::"
                "test_one_that_slept_through_its_lease_is_fenced[s3]"
            ),
        ),
    ],
    indirect=True,
)
def test_one_that_slept_through_its_lease_is_fenced(store: StoreUnderTest) -> None:
    """The holder is stopped, not killed; its lease runs out; it wakes up beside its successor."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    with Watcher(store.storage) as watcher, Competitors(store.storage, 0.5, seed) as archives:
        for _ in range(TAKE_OVERS):
            holder = archives.holder()
            epoch = holder.epoch
            time.sleep(chance.uniform(0.0, 0.2))
            holder.process.send_signal(signal.SIGSTOP)
            archives.wait_for_an_epoch_after(epoch, not_of=holder)
            holder.process.send_signal(signal.SIGCONT)
            archives.wait_until_fenced(holder, epoch)
    state = read_state(store.storage).state
    sys.stdout.write(
        f"seed {seed}: {len(archives.fenced)} zombies fenced, {state.epoch} epochs, "
        f"{state.last_seq + 1} entries\n"
    )
    assert set(archives.begun) - {max(archives.begun)} == set(archives.fenced), f"seed {seed}"
    assert len(archives.fenced) >= TAKE_OVERS
    assert watcher.refusals == 0
    _ends_well(store.storage, watcher)


def _seconds_until_a_commit(storage: Storage, archives: Competitors) -> float:
    """Wait until an archive has committed a claim; return how long that took."""
    started_s = time.monotonic()
    before = read_state(storage).state.frontier(ZTF) or 0
    while (read_state(storage).state.frontier(ZTF) or 0) <= before:
        assert time.monotonic() - started_s < 120, f"no archive commits; ended: {archives.ended}"
        archives.restart_ended()
        time.sleep(0.05)
    return round(time.monotonic() - started_s, 1)


def _ends_well(storage: Storage, watcher: Watcher) -> None:
    last = Ledger.take_over(storage)
    recover(last, storage)
    watcher.look()
    assert watcher.rounds > 5
    report = audit(storage, deep="all")
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
