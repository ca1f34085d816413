"""The process that runs the user's code: what it may and what it may not."""

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.errors import ServiceError
from finkray.host.processes import command_of, running_processes
from finkray.services.messages import Slice, Spec
from finkray.serving.environment import child_environment
from finkray.serving.run import limits_of
from finkray.serving.worker import Worker
from finkray.settings.model import load
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.limits import default_limits

FILE = "alerts/one.parquet"
ROOT = str(Path(__file__).parents[4])


EVERY_STORAGE = pytest.mark.parametrize("archive", ["local", "memory"], indirect=True)
"""A folder, and a storage that has no files of the operating system."""


@pytest.fixture
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """One file of 40 alerts."""
    in_memory = getattr(request, "param", "local") == "memory"
    uri = f"memory://{uuid.uuid4().hex}" if in_memory else str(tmp_path)
    storage = open_storage(StorageLocation(uri))
    with storage.stage(FILE) as sink:
        pq.write_table(pa.table({"kafka_offset": list(range(40))}), sink)
    return storage


@pytest.fixture
def start(archive: Storage) -> Iterator[Callable[..., Worker]]:
    workers = []

    def make(name: str, **limits: float) -> Worker:
        spec = Spec(f"tests.support.services:{name}", ROOT)
        workers.append(Worker(spec, default_limits(**limits), archive))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


@EVERY_STORAGE
def test_it_answers_for_several_slices_at_once(start: Callable[..., Worker]) -> None:
    worker = start("Double")
    assert worker.start().name == "double"
    answer = worker.run([Slice(FILE, 30, 2), Slice(FILE, 0, 3)])
    assert answer.fault is None
    assert answer.table is not None
    assert answer.table["double"].to_pylist() == [60, 62, 0, 2, 4]


@EVERY_STORAGE
def test_results_of_another_service_stand_beside_the_alerts_that_they_are_of(
    start: Callable[..., Worker], archive: Storage
) -> None:
    # Results are in two files, in another order, and some alerts have none.
    for name, offsets in (("first", [35, 31]), ("second", [30, 2])):
        table = pa.table({"kafka_offset": offsets, "double": [2 * n for n in offsets]})
        with archive.stage(f"science/{name}.parquet") as sink:
            pq.write_table(table, sink)
    inputs = (("double", ("science/first.parquet", "science/second.parquet")),)
    worker = start("Sum")
    assert worker.start().needs == ("double",)
    answer = worker.run([Slice(FILE, 30, 3, inputs), Slice(FILE, 0, 3)])
    assert answer.table is not None
    assert answer.table["sum"].to_pylist() == [90, 93, None, None, None, None]
    assert answer.skipped == (False, False)


def test_alerts_on_which_it_raises_are_told_apart_from_the_others(
    start: Callable[..., Worker],
) -> None:
    answer = start("Throwing").run([Slice(FILE, 0, 40)])
    assert answer.table is not None
    assert [row for row, _, _ in answer.errors] == [7, 17, 27, 37]
    assert answer.errors[1] == (17, "raised", "ValueError: cannot stand 17")
    expected = [None if n % 10 == 7 else 2 * n for n in range(40)]
    assert answer.table["double"].to_pylist() == expected


def test_an_exception_without_a_text_is_one_too(start: Callable[..., Worker]) -> None:
    answer = start("ThrowingSilently").run([Slice(FILE, 10, 10)])
    assert answer.errors == ((7, "raised", "_Silent, which has no text"),)


def test_a_batch_of_which_no_alert_is_answered_has_no_answer(start: Callable[..., Worker]) -> None:
    answer = start("Throwing").run([Slice(FILE, 7, 1)])
    assert (answer.fault, answer.table) == ("raised", None)
    assert answer.detail == "ValueError: cannot stand 7"


def test_a_hanging_batch_is_ended_and_the_next_one_is_answered(
    start: Callable[..., Worker],
) -> None:
    worker = start("Hanging", batch_s=4.0)
    assert worker.run([Slice(FILE, 10, 10)]).fault == "time"
    assert worker.pid is None
    assert worker.run([Slice(FILE, 0, 10)]).fault is None


def test_a_process_that_takes_no_order_is_ended(start: Callable[..., Worker]) -> None:
    worker = start("Double", batch_s=2.0)
    worker.start()
    stopped = worker.pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    # More than the kernel keeps for a process that does not read.
    answer = worker.run([Slice(FILE, 0, 1)] * 10_000)
    assert (answer.fault, answer.detail) == ("died", "its process hung up")
    assert not psutil.pid_exists(stopped)
    assert worker.run([Slice(FILE, 0, 10)]).fault is None


def test_a_dying_process_is_told_by_how_it_ended(start: Callable[..., Worker]) -> None:
    worker = start("EndingProcess")
    answer = worker.run([Slice(FILE, 10, 10)])
    assert (answer.fault, answer.detail) == ("died", "its process ended with exit code 3")
    worker.start()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    # The next batch finds a fresh process.
    assert worker.run([Slice(FILE, 0, 10)]).fault is None


def test_a_leak_ends_at_the_limit_and_what_is_mapped_does_not_count(
    start: Callable[..., Worker],
) -> None:
    worker = start("Leaking", memory_bytes=400 * 2**20)
    faults = [worker.run([Slice(FILE, 0, 1)]).fault for _ in range(12)]
    assert "memory" in faults
    assert faults[0] is None
    assert faults[faults.index("memory") + 1] is None


def test_the_memory_of_processes_that_it_starts_counts_and_they_end_with_it(
    start: Callable[..., Worker],
) -> None:
    worker = start("MemoryTakingChild", memory_bytes=400 * 2**20)
    worker.start()
    watched = psutil.Process(worker.pid)
    answer = worker.run([Slice(FILE, 10, 10)])
    assert answer.fault == "memory"
    assert not watched.is_running()
    mark = "a.append(bytearray"
    killed = [one for one in running_processes() if mark in str(command_of(one))]
    _, alive = psutil.wait_procs(killed, timeout=20)  # a killed process may take its time to end
    assert not alive
    assert worker.run([Slice(FILE, 0, 10)]).fault is None


def test_what_processes_that_it_forked_share_with_it_counts_once(
    start: Callable[..., Worker],
) -> None:
    worker = start("Forking", memory_bytes=400 * 2**20)
    answer = worker.run([Slice(FILE, 0, 10)])
    assert answer.fault is None, answer.detail
    assert 150_000_000 < answer.memory_bytes < 400 * 2**20


def test_a_fresh_process_takes_over_after_some_batches(start: Callable[..., Worker]) -> None:
    worker = start("Double", recycle_batches=2)
    pids = []
    for _ in range(5):
        worker.run([Slice(FILE, 0, 1)])
        pids.append(worker.pid)
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    assert not psutil.pid_exists(pids[0] or 0)


def test_what_cannot_be_set_up_says_so(start: Callable[..., Worker]) -> None:
    with pytest.raises(ServiceError, match="FileNotFoundError: no model at /nowhere"):
        start("NotStarting").start()


@EVERY_STORAGE
def test_a_file_that_is_gone_is_not_the_services_fault(start: Callable[..., Worker]) -> None:
    worker = start("Double")
    assert worker.run([Slice("alerts/nowhere.parquet", 0, 1)]).fault == "unreadable"
    assert worker.pid is not None


@EVERY_STORAGE
def test_alerts_without_any_of_the_columns_are_skipped(start: Callable[..., Worker]) -> None:
    answer = start("MissingColumn").run([Slice(FILE, 0, 3)])
    assert answer.skipped == (True,)
    assert answer.table is not None
    assert answer.table["flux"].to_pylist() == [None] * 3


def test_the_brokers_secrets_are_not_in_the_environment_of_a_service(
    start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINKRAY__KAFKA__SASL_PASSWORD", "hush-1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hush-2")
    monkeypatch.setenv("MY_REGISTRY_PASSWORD", "hush-3")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hush-4@host/db")
    monkeypatch.setenv("GITHUB_PAT", "hush-5")
    monkeypatch.setenv("OPENBLAS_VERBOSE", "seen")
    answer = start("SecretSearch").run([Slice(FILE, 0, 1)])
    assert answer.table is not None
    found = answer.table["found"][0].as_py()
    assert "hush" not in found
    assert "seen" in found


@pytest.mark.parametrize(
    "name",
    [
        *("DATABASE_URL", "AWS_ACCESS_KEY_ID", "MY_API_KEY", "PASSWD", "GITHUB_PAT", "PASSPHRASE"),
        *("HTTPS_PROXY", "SSH_AUTH_SOCK", "KUBECONFIG", "FINKRAY_STATE", "RAY_ADDRESS", "ANYTHING"),
        *("PYTHON_KEYRING_PASSWORD", "XDG_SESSION_TOKEN"),
    ],
)
def test_a_variable_that_is_not_allowed_does_not_reach_a_service(name: str) -> None:
    assert name not in child_environment({name: "value", "PATH": "/bin"})
    assert child_environment({name: "value"}, [name])[name] == "value"


def test_what_the_service_needs_can_be_passed_on() -> None:
    environment = {"MODEL_TOKEN": "a", "OTHER_TOKEN": "b", "OMP_NUM_THREADS": "2"}
    passed = child_environment(environment, ["MODEL_TOKEN"])
    assert passed["MODEL_TOKEN"] == "a"
    assert "OTHER_TOKEN" not in passed
    assert passed["OMP_NUM_THREADS"] == "2"


SAID = {
    "kafka": {"sasl_username": "me", "sasl_password": "hush-1"},
    "packets": {"registry_username": "me", "registry_password": "hush-2"},
    "spark": {"conf": {"spark.hadoop.fs.s3a.secret.key": "hush-3"}},
    "catalogs": {"folder": "sky", "memory_bytes": "7 MiB"},
    "services": {
        "asking": {"limit": 18.5, "hub": {"token": "its-own"}},
        "curious": {"limit": 17, "token": "hush-4"},
        "other": {"password": "hush-5"},
    },
}


def found_by(name: str, archive: Storage) -> str:
    """What a service finds in its environment and in what it was given."""
    spec = Spec(f"tests.support.services:{name}", ROOT)
    worker = Worker(spec, limits_of(load(None, {}, SAID)), archive)
    try:
        answer = worker.run([Slice(FILE, 0, 1)])
    finally:
        worker.close()
    assert answer.table is not None, answer
    found: str = answer.table["found"][0].as_py()
    return found


def test_a_service_is_given_its_own_settings_and_those_that_it_shares_and_no_more(
    archive: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment of the actor says, which is of another command."""
    monkeypatch.setenv("FINKRAY__CATALOGS__FOLDER", "/elsewhere")
    monkeypatch.setenv("FINKRAY__SERVICES__OTHER", '{"password": "hush-6"}')
    monkeypatch.chdir(tmp_path)
    found = found_by("Asking", archive)
    (own, shared), _ = json.JSONDecoder().raw_decode(found)
    assert own == {"limit": 18.5, "hub": {"token": "its-own"}}
    assert list(shared) == ["catalogs"]
    assert (shared["catalogs"]["folder"], shared["catalogs"]["memory_bytes"]) == (
        f"{tmp_path}/sky",
        7 * 2**20,
    )
    assert "hush" not in found
    assert "FINKRAY" not in found


def test_a_service_finds_no_settings_in_its_environment(archive: Storage) -> None:
    found = found_by("SecretSearch", archive)
    assert "hush" not in found
    assert "sky" not in found


def test_the_repr_of_what_an_actor_is_given_has_no_secret() -> None:
    assert "hush" not in repr(limits_of(load(None, {}, SAID)))


def test_the_process_ends_with_what_keeps_it(start: Callable[..., Worker]) -> None:
    worker = start("Double")
    worker.start()
    pid = worker.pid
    worker.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)
