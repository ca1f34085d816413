"""Files that wait in open uploads of a real object store until the ledger has them."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from finkray.audit.audit import audit
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.storage.contract import PublishOutcome
from finkray.storage.object_client import DEFERRED_BYTES
from tests.support.object_store import ObjectStore, running_store
from tests.support.small_archives import SmallArchive
from tests.support.two_storages import put

pytestmark = [pytest.mark.stores, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store in whose bucket no other test leaves an open upload."""
    with running_store(tmp_path_factory.mktemp("store"), "uploads") as store:
        yield store


@pytest.fixture
def uri() -> str:
    return f"s3://uploads/a b/{uuid.uuid4().hex}"


def open_uploads(store: ObjectStore) -> list[Path]:
    """Return the folders that versitygw has for the open uploads of that bucket."""
    return list((store.objects / "uploads" / ".sgwtmp" / "multipart").glob("*/*"))


def test_open_uploads_are_completed_or_given_up_by_what_the_ledger_says(
    store: ObjectStore, uri: str
) -> None:
    storage = store.storage(uri)
    small = SmallArchive(storage)
    small.ledger.append([small.stage(0, 9)])  # killed before it publishes
    small.stage(10, 19)  # killed before it commits
    assert len(open_uploads(store)) == 2
    assert list(storage.walk("alerts")) == []

    successor = Ledger.take_over(storage)
    assert recover(successor, storage).published == 1
    assert len(list(storage.walk("alerts"))) == 1
    assert open_uploads(store) == []
    assert list(storage.walk("staging")) == []
    assert audit(storage, deep="all").balanced


def test_an_upload_that_the_store_has_given_up_is_reported_as_lost(
    store: ObjectStore, uri: str
) -> None:
    """As a lifecycle rule does that is shorter than an outage."""
    storage = store.storage(uri)
    small = SmallArchive(storage)
    small.ledger.append([small.stage(0, 9)])
    for upload in open_uploads(store):
        shutil.rmtree(upload)
    assert len(recover(Ledger.take_over(storage), storage).lost) == 1


def test_what_was_staged_for_a_copy_is_published_by_an_archive_that_defers(
    store: ObjectStore, uri: str
) -> None:
    moves = {f"alerts/{way}": f"staging/1/{way}" for way in ("copy", "deferred")}
    for final, staged in moves.items():
        way = final.rpartition("/")[2]
        put(store.storage(uri, publish=way), staged, way.encode(), final)
    assert len(open_uploads(store)) == 1
    for way in ("deferred", "copy"):
        final = f"alerts/{way}"
        storage = store.storage(uri, publish="copy" if way == "deferred" else "deferred")
        assert storage.publish({final: moves[final]}) == {final: PublishOutcome.MOVED}
        assert storage.read(final) == way.encode()
    with pytest.raises(ValueError, match="publish must be one of by_size, deferred, copy"):
        store.storage(uri, publish="rename")


def test_large_files_alone_are_staged_as_open_uploads(store: ObjectStore, uri: str) -> None:
    storage = store.storage(uri, publish="by_size")
    for name, size in (("small", DEFERRED_BYTES - 1), ("large", DEFERRED_BYTES)):
        put(storage, f"staging/1/{name}", bytes(size), f"alerts/{name}")
        assert len(open_uploads(store)) == (name == "large")
    moves = {f"alerts/{name}": f"staging/1/{name}" for name in ("small", "large")}
    assert set(storage.publish(moves).values()) == {PublishOutcome.MOVED}
    assert [file.size_bytes for file in storage.walk("alerts")] == [
        DEFERRED_BYTES,
        DEFERRED_BYTES - 1,
    ]
