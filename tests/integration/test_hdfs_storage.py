"""An archive's storage in a real HDFS: the contract, lost answers, refusals, a crash."""

import functools
import json
import multiprocessing
import os
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from finkray.errors import SettingsError, StorageError
from finkray.host.ports import LOOPBACK
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.storage.contract import PublishOutcome, Storage
from finkray.storage.hdfs import HdfsStorage
from finkray.storage.opening import Option, StorageLocation, open_storage
from jobs.cli.main import app
from tests.support.docs_pages import blocks
from tests.support.hdfs_proxy import running_proxy
from tests.support.hdfs_server import HdfsServer
from tests.support.small_archives import SmallArchive
from tests.support.storage_contract import SharedStorageContract
from tests.support.two_storages import MakeStorage, put

# The first test of all that needs the jars fetches them.
pytestmark = [pytest.mark.stores, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"


@pytest.fixture
def uri(hdfs: HdfsServer) -> str:
    return f"{hdfs.uri}/a b/{uuid.uuid4().hex}"


@pytest.fixture
def storage(uri: str) -> Storage:
    return opened(uri)


def opened(uri: str, **options: Option) -> Storage:
    return open_storage(StorageLocation(uri, options))


class TestHdfsStorage(SharedStorageContract):
    """On name nodes that close files before their last block is reported."""

    @pytest.fixture
    def make(self, uri: str) -> MakeStorage:
        return functools.partial(HdfsStorage.from_uri, uri, {})


def test_with_lost_answers_each_file_is_created_and_published_once(
    hdfs: HdfsServer, uri: str
) -> None:
    with running_proxy(hdfs) as proxy:
        storage = opened(uri.replace(hdfs.uri, proxy.uri))
        assert [storage.create(f"log/{n}", b"%d" % n) for n in range(20)] == [True] * 20
        assert [storage.create(f"log/{n}", b"?") for n in range(4)] == [False] * 4
        for n in range(4):
            storage.replace("lease", b"%d" % n)
        moves = {f"alerts/{n}": f"staging/{n}" for n in range(20)}
        for staged in moves.values():
            put(storage, staged, staged.encode())
        outcomes = Counter(storage.publish(moves).values())
        assert set(outcomes) <= {PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE}
        assert proxy.lost > 20
    direct = opened(uri)
    assert {direct.read(final) for final in moves} == {path.encode() for path in moves.values()}
    assert [direct.read(f"log/{n}") for n in range(20)] == [b"%d" % n for n in range(20)]
    assert direct.read("lease") == b"3"
    assert {file.path for file in direct.walk("")} == {
        *moves,
        *(f"log/{n}" for n in range(20)),
        "lease",
    }


def test_the_command_answers_for_each_promise_and_leaves_nothing(
    storage: Storage, uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["storage", "check", uri, "--json"])
    assert result.exit_code == 0, result.output
    names = [check["name"] for check in json.loads(result.output)]
    assert names == ["storage", "space", "conditions", "race", "lists"]
    assert not storage.exists()


def test_a_stranger_may_read_and_is_told_which_right_is_missing(
    storage: Storage, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, "alerts/one", b"1")
    monkeypatch.setenv("HADOOP_USER_NAME", "stranger")
    strange = opened(uri)
    assert strange.read("alerts/one") == b"1"
    for call in (
        lambda: strange.create("log/1", b"1"),
        lambda: strange.replace("lease", b"1"),
        lambda: put(strange, "staging/1"),
        lambda: strange.publish({"alerts/2": "alerts/one"}),
        lambda: strange.delete(["alerts/one"]),
        lambda: strange.delete_folder("alerts"),
    ):
        with pytest.raises(StorageError, match=r"no right: .*user=stranger, access=WRITE"):
            call()
    (check,) = strange.checks(1)
    assert not check.ok
    with pytest.raises(SettingsError, match=r"no archive is begun in hdfs://.*no right"):
        strange.refuse_unfit()
    assert [file.path for file in storage.walk("")] == ["alerts/one"]


def test_a_quota_that_is_used_up_is_told(hdfs: HdfsServer, storage: Storage, uri: str) -> None:
    put(storage, "alerts/one", b"1")
    hdfs.administer("-setSpaceQuota", "1m", uri.removeprefix(hdfs.uri))
    # Even a small file does not fit: while it is open it counts as a whole block.
    with pytest.raises(StorageError, match=r"cannot write .*the quota of the folder is used up"):
        put(storage, "alerts/two", b"2")
    (check,) = storage.checks(1)
    assert not check.ok
    assert "the quota of the folder is used up: raise it" in check.detail
    assert [file.path for file in storage.walk("")] == ["alerts/one"]


def test_in_safe_mode_files_are_read_and_not_written(hdfs: HdfsServer, storage: Storage) -> None:
    put(storage, "alerts/one", b"1")
    hdfs.administer("-safemode", "enter")
    try:
        with pytest.raises(StorageError, match="is in safe mode and takes no writes"):
            storage.create("log/1", b"1")
        assert storage.read("alerts/one") == b"1"
    finally:
        hdfs.administer("-safemode", "leave")
    assert storage.create("log/1", b"1")


@pytest.fixture
def silent_uri() -> Iterator[str]:
    """A server that accepts connections and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield f"hdfs://{LOOPBACK}:{server.getsockname()[1]}/archive"


def test_a_name_node_that_never_answers_costs_a_bounded_time(silent_uri: str) -> None:
    storage = opened(silent_uri, timeout_s=0.5)
    started_s = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot read .*does not answer: is it up"):
        storage.read("log/1")
    with pytest.raises(StorageError, match=r"cannot create .*does not answer: is it up"):
        storage.create("log/1", b"1")
    with pytest.raises(OSError, match=r"cannot open .*does not answer: is it up"):
        storage.open("log/1")
    assert time.monotonic() - started_s < 10


def test_a_name_that_no_machine_has_is_told_apart() -> None:
    storage = opened("hdfs://name-node.invalid:8020/archive", timeout_s=2)
    with pytest.raises(StorageError, match=r"no machine has the name|does not answer"):
        storage.exists()


@pytest.mark.nightly(
    "tests/integration/test_hdfs_storage.py::test_a_name_node_that_never_answers_costs_a_bounded_time"
)
def test_a_killed_name_node_is_an_error_until_it_is_back(hdfs: HdfsServer, uri: str) -> None:
    storage = opened(uri, timeout_s=2)
    put(storage, "staging/1", b"durable")
    storage.publish({"alerts/1": "staging/1"})
    hdfs.kill()
    try:
        started_s = time.monotonic()
        with pytest.raises(StorageError, match=r"name node of hdfs://.* does not answer: is it up"):
            storage.create("log/1", b"1")
        assert time.monotonic() - started_s < 6
    finally:
        hdfs.start()
    patient = opened(uri)
    assert patient.create("log/1", b"1")
    assert patient.read("alerts/1") == b"durable"


def test_what_a_killed_writer_left_open_is_taken_away(storage: Storage, uri: str) -> None:
    ledger = Ledger.take_over(storage)
    half = f"{ledger.staging}/half"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    writer = context.Process(target=_write_and_hang, args=(uri, half, ready))
    writer.start()
    assert ready.wait(60)
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    assert {file.path for file in storage.walk("")} >= {half, "ledger/log/.tmp-killed"}
    recover(Ledger.take_over(opened(uri)), opened(uri))
    left = {file.path for file in storage.walk("")}
    assert half not in left
    assert not any(".tmp-" in path for path in left), left


def test_a_forked_worker_has_connections_of_its_own(storage: Storage) -> None:
    """As Spark's Python workers are forked, and a client's threads do not survive that."""
    assert storage.create("log/1", b"parent")
    worker = multiprocessing.get_context("fork").Process(target=_stage_and_create, args=(storage,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert storage.read("staging/1") == b"child"
    assert storage.create("log/3", b"parent")


def _stage_and_create(storage: Storage) -> None:
    put(storage, "staging/1", b"child")
    assert not storage.create("log/1", b"child")
    assert storage.create("log/2", b"child")


def _write_and_hang(uri: str, staged: str, ready: Any) -> None:
    """Leave a staged file and one aside open for writing, as a crash in the middle would."""
    from hdfs_native import Client, WriteOptions

    server, _, folder = uri.removeprefix("hdfs://").partition("/")
    client = Client(f"hdfs://{server}")
    files = [
        client.create(f"/{folder}/{path}", WriteOptions(create_parent=True))
        for path in (staged, "ledger/log/.tmp-killed")
    ]
    for file in files:
        file.write(b"half")
        file.hsync()
    ready.set()
    time.sleep(600)


def test_readers_without_finkray_read_what_was_published(
    hdfs: HdfsServer, storage: Storage, uri: str
) -> None:
    for n in range(3):
        with storage.stage(f"staging/{n}") as file:
            pq.write_table(pa.table({"n": pa.array(range(50_000)), "file": [n] * 50_000}), file)
    storage.publish({f"alerts/topic=a b/{n}.parquet": f"staging/{n}" for n in range(2)})
    dataset = pads.dataset("alerts", filesystem=storage.filesystem, format="parquet")
    assert dataset.to_table(columns=["n"])["n"].to_pylist() == [*range(50_000)] * 2

    nights = opened(f"{uri}/nights")
    SmallArchive(nights).put(0, 59)
    _, code = blocks("python", PAGE)
    code = code.replace('"namenode.observatory.org", 8020', f'"{LOOPBACK}", {hdfs.port}')
    code = code.replace('"/observatory/nights', f'"{uri.removeprefix(hdfs.uri)}/nights')
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["dataset"].count_rows() == 60
