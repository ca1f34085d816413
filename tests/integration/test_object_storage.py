"""An archive's storage in a real object store: the contract, lost answers, refusals, a crash."""

import functools
import json
import os
import re
import sys
import time
import tomllib
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import finkray
from finkray.audit.audit import audit
from finkray.backup import back_up
from finkray.driver.run import run_archive
from finkray.errors import SettingsError, StorageError
from finkray.index.follower import IndexFollower
from finkray.ledger.log import Ledger
from finkray.settings.archive import ArchiveSettings
from finkray.settings.model import Settings
from finkray.storage.contract import PublishOutcome, Storage
from finkray.storage.objects import ObjectStorage
from finkray.storage.opening import Option, StorageLocation, open_storage
from jobs.cli.main import app
from tests.support.docs_pages import blocks, commands, follow
from tests.support.ledgers import ZTF, quick_storage
from tests.support.night_archives import NightArchive, build, random_sky
from tests.support.object_store import ObjectStore, running_store
from tests.support.small_archives import SmallArchive
from tests.support.storage_contract import SharedStorageContract
from tests.support.store_proxy import Fault, running_proxy
from tests.support.two_storages import MakeStorage, put

# The first test of all that needs the store builds it.
pytestmark = [pytest.mark.stores, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"
HATS_PAGE = PAGE.with_name("hats.md")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with running_store(tmp_path_factory.mktemp("store"), "archive", "observatory") as store:
        yield store


@pytest.fixture
def uri() -> str:
    return f"s3://archive/a b/{uuid.uuid4().hex}"


@pytest.fixture
def storage(store: ObjectStore, uri: str) -> Storage:
    return store.storage(uri)


class TestObjectStorage(SharedStorageContract):
    """The keys and the address come from the environment, which other processes inherit."""

    @pytest.fixture
    def make(self, store: ObjectStore, uri: str, monkeypatch: pytest.MonkeyPatch) -> MakeStorage:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        return functools.partial(ObjectStorage.from_uri, uri, {})


@pytest.mark.parametrize("way", ["deferred", "copy"])
def test_with_lost_answers_each_object_is_created_and_published_once(
    store: ObjectStore, uri: str, way: str
) -> None:
    with running_proxy(store, Fault.LOSE_ANSWERS) as proxy:
        storage = store.storage(uri, endpoint=proxy.endpoint, publish=way)
        assert [storage.create(f"log/{n}", b"%d" % n) for n in range(40)] == [True] * 40
        assert [storage.create(f"log/{n}", b"?") for n in range(8)] == [False] * 8
        moves = {f"alerts/{n}": f"staging/{n}" for n in range(20)}
        for final, staged in moves.items():
            put(storage, staged, staged.encode(), final)
        outcomes = Counter(storage.publish(moves).values())
        assert set(outcomes) <= {PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE}
        assert proxy.lost > 20
    direct = store.storage(uri)
    assert {direct.read(final) for final in moves} == {path.encode() for path in moves.values()}
    assert [direct.read(f"log/{n}") for n in range(40)] == [b"%d" % n for n in range(40)]
    assert list(direct.walk("staging")) == []


@pytest.mark.parametrize("way", ["deferred", "copy"])
def test_a_completion_that_the_store_claims_and_never_made_is_made(
    store: ObjectStore, uri: str, way: str
) -> None:
    """As versitygw answers after it was killed in the middle of one."""
    with running_proxy(store, Fault.CLAIM_COMPLETIONS) as proxy:
        storage = store.storage(uri, endpoint=proxy.endpoint, publish=way)
        moves = {f"alerts/{n}": f"staging/{n}" for n in range(3)}
        for final, staged in moves.items():
            put(storage, staged, staged.encode(), final)
        assert set(storage.publish(moves).values()) == {PublishOutcome.MOVED}
        assert len(proxy.claimed) >= len(moves)
    direct = store.storage(uri)
    assert {direct.read(final) for final in moves} == {path.encode() for path in moves.values()}
    assert list(direct.walk("staging")) == []


def test_a_fit_store_is_trusted_and_nothing_is_left(storage: Storage) -> None:
    checks = list(storage.checks(1))
    assert [(check.name, check.ok) for check in checks] == [
        (name, True) for name in ("storage", "clock", "conditions", "race", "lists")
    ], checks
    storage.refuse_unfit()
    assert list(storage.walk("")) == []


@pytest.mark.parametrize(
    ("fault", "name", "why"),
    [
        (Fault.IGNORE_CONDITIONS, "conditions", "ignores If-None-Match"),
        (Fault.LOOK_THEN_WRITE, "race", "looks first and writes then"),
    ],
)
def test_a_store_that_breaks_its_promise_is_refused(
    store: ObjectStore, uri: str, fault: Fault, name: str, why: str
) -> None:
    with running_proxy(store, fault) as proxy:
        storage = store.storage(uri, endpoint=proxy.endpoint)
        *good, bad = storage.checks(1)
        assert all(check.ok for check in good)
        assert (bad.name, bad.ok) == (name, False)
        assert why in bad.detail
        with pytest.raises(SettingsError, match=r"no archive is begun in s3://archive/a b/"):
            storage.refuse_unfit()


def test_no_archive_is_begun_on_a_store_that_breaks_its_promise(
    store: ObjectStore, uri: str
) -> None:
    with running_proxy(store, Fault.IGNORE_CONDITIONS) as proxy:
        options = store.options(endpoint=proxy.endpoint)
        settings = Settings(archive=ArchiveSettings(uri=uri, options=options))
        with pytest.raises(SettingsError, match="ignores If-None-Match"):
            run_archive(settings)
    assert list(store.storage(uri).walk("")) == []


def test_a_store_that_never_answers_costs_a_bounded_time(store: ObjectStore, uri: str) -> None:
    with running_proxy(store, Fault.NEVER_ANSWER) as proxy:
        storage = store.storage(uri, endpoint=proxy.endpoint, timeout_s=0.5, retry_s=1.0)
        started_s = time.monotonic()
        with pytest.raises(StorageError, match=r"cannot read .*does not answer"):
            storage.read("log/1")
        with pytest.raises(StorageError, match=r"cannot create .*does not answer"):
            storage.create("log/1", b"1")
        assert time.monotonic() - started_s < 10


@pytest.mark.parametrize(
    ("bucket", "options", "message"),
    [
        ("nowhere", {}, "has no bucket nowhere: make it, or correct archive.uri"),
        ("archive", {"secret_access_key": "wrong"}, "does not accept the credentials"),
        ("archive", {"access_key_id": "unknown"}, "does not accept the credentials"),
    ],
)
def test_a_refusal_says_what_to_do(
    store: ObjectStore, bucket: str, options: dict[str, Option], message: str
) -> None:
    storage = store.storage(f"s3://{bucket}/archive", **options)
    for call in (
        lambda: storage.create("log/1", b"1"),
        lambda: storage.replace("lease", b"1"),
        lambda: storage.read("lease"),
        lambda: storage.files("log"),
        storage.exists,
        lambda: storage.publish({"alerts/1": "staging/1"}),
    ):
        with pytest.raises(StorageError, match=message) as refused:
            call()
        assert str(options.get("secret_access_key", "\0")) not in str(refused.value)
    (check,) = storage.checks(1)
    assert not check.ok


def test_odd_keys_are_refused_before_anything_is_written(storage: Storage) -> None:
    for path in ("a//b", "a/../b", "a\nb", "./a"):
        with pytest.raises(StorageError, match="cannot hold"):
            storage.create(path, b"1")
    assert list(storage.walk("")) == []


def test_a_killed_store_is_an_error_until_it_is_back(tmp_path: Path, uri: str) -> None:
    with running_store(tmp_path / "store", "archive") as store:
        storage = store.storage(uri, retry_s=0.5)
        put(storage, "staging/1", b"durable")
        storage.publish({"alerts/1": "staging/1"})
        store.kill()
        with pytest.raises(StorageError, match="does not answer: is the store up"):
            storage.create("log/1", b"1")
        store.start()
        assert storage.create("log/1", b"1")
        assert storage.read("alerts/1") == b"durable"


def test_pyarrow_and_polars_read_what_was_published(store: ObjectStore, uri: str) -> None:
    storage = store.storage(uri)
    for n in range(3):
        with storage.stage(f"staging/{n}") as file:
            pq.write_table(pa.table({"n": pa.array(range(50_000)), "file": [n] * 50_000}), file)
    storage.publish({f"alerts/topic=a b/{n}.parquet": f"staging/{n}" for n in range(2)})
    dataset = pads.dataset("alerts", filesystem=storage.filesystem, format="parquet")
    assert dataset.to_table(columns=["n"])["n"].to_pylist() == [*range(50_000)] * 2
    scanned = pl.scan_parquet(f"{uri}/alerts/**/*.parquet", storage_options=store.polars_options())
    assert scanned.select(pl.len(), pl.col("n").sum()).collect().row(0) == (
        100_000,
        2 * sum(range(50_000)),
    )


def test_the_command_answers_for_each_promise(
    store: ObjectStore, uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["storage", "check", uri, "--json"])
    assert result.exit_code == 0, result.output
    assert [check["name"] for check in json.loads(result.output)] == [
        "storage",
        "clock",
        "conditions",
        "race",
        "lists",
    ]
    refused = CliRunner().invoke(app, ["storage", "check", "s3://nowhere/archive"])
    assert refused.exit_code == 1
    assert "has no bucket nowhere" in refused.output


def test_the_page_is_followed_word_by_word(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs}
    (command,) = commands(PAGE, live=False)
    answers = follow(command, tmp_path, environment).splitlines()
    shown = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    yes ")]
    assert [line.split(":")[0] for line in answers] == [line.split(":")[0] for line in shown]

    nights = open_storage(StorageLocation("s3://observatory/nights"))
    SmallArchive(nights).put(0, 59)
    code, _ = blocks("python", PAGE)  # tests/integration/test_hdfs_storage.py runs that of HDFS
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["archive"].dataset().count_rows() == 60
    assert names["archive"].audit(deep="all").balanced
    assert sum(file.rows for file in names["archive"].follow(wait_s=0)) == 60

    for block in blocks("toml", PAGE):
        given = tomllib.loads(block)["archive"]
        options = given.get("options", {})
        assert open_storage(ArchiveSettings(uri=given["uri"], options=options)).uri == given["uri"]
    rights = [right for block in blocks("json", PAGE) for right in json.loads(block)["Statement"]]
    assert {right["Effect"] for right in rights} == {"Allow"}


def test_a_night_and_the_index_in_an_object_store_are_read_as_in_a_folder(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**store.environment, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    (code,) = (block for block in blocks("python", HATS_PAGE) if "UPath" in block)
    night = re.search(r"s3://[^\"]+", code)
    assert night is not None
    page_uri = night[0].partition("/hats/")[0]
    uri = f"{page_uri}-{uuid.uuid4().hex}"  # other pages have an archive under that name
    code = code.replace(page_uri, uri)
    sky = random_sky(60)
    made = NightArchive(open_storage(StorageLocation(uri)))
    made.put(sky[:30])
    made.put(sky[30:])
    assert build(made.storage).alerts == 60
    made.put(random_sky(4, seed=8))  # not in the night yet

    dataset = finkray.open_archive(uri).dataset()
    assert dataset.to_table(["objectId", "candidate.magpsf"]).num_rows == 64
    # The file that is not in the night is read beside the narrow columns of the others.
    files = {batch.fragment.path for batch in dataset.scanner(["objectId"]).scan_batches()}
    assert [path.split("/")[0] for path in sorted(files)] == ["alerts", "hats"]
    with dask.config.set(scheduler="synchronous"):
        exec(code, {})
    assert "30 objects; most points: 6" in capsys.readouterr().out

    assert IndexFollower(made.storage).catch_up() == 3
    archive = finkray.open_archive(uri)
    curve = archive.lightcurve(str(sky[4].object_id))
    assert curve.num_rows == 2 + 2
    near = archive.cone(sky[4].candidate["ra"], sky[4].candidate["dec"], 3)
    assert near["object_id"].to_pylist() == [sky[4].object_id]


def test_an_archive_of_a_folder_is_backed_up_in_a_store_and_comes_back(
    storage: Storage, small: SmallArchive
) -> None:
    small.put(0, 59, dead=[7])
    assert back_up(small.storage, storage).missing == ()
    small.put(60, 69)
    assert back_up(small.storage, storage).files == 1
    assert audit(storage, deep="all").balanced
    with quick_storage() as folder:
        assert back_up(storage, folder).files == 3
        assert Ledger.take_over(folder).frontier(ZTF) == 70
        assert audit(folder, deep="all").balanced
    assert list(storage.walk("staging")) == []


def test_a_claim_costs_as_many_requests_as_the_page_says(store: ObjectStore, uri: str) -> None:
    with running_proxy(store, Fault.NONE) as proxy:
        small = SmallArchive(store.storage(uri, endpoint=proxy.endpoint))
        small.put(0, 9)
        before = Counter(proxy.requests)
        small.put(10, 19)
        cost = Counter(proxy.requests) - before
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| a claim of"))
    _, dear, cheap = (cell.strip() for cell in row.strip("|").split("|"))
    assert (cost["dear"], cost["cheap"]) == (int(dear), int(cheap))
