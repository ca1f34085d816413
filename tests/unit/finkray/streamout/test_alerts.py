"""Answers of services for a file of alerts, wherever their results lie."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from finkray.ledger.follow import Position
from finkray.results.joined import KEYS, ResultFiles
from finkray.results.store import ResultsStore
from finkray.services.columns import read_columns
from finkray.storage.layout import schema_path
from finkray.streamout.alerts import AlertReader
from finkray.streamout.ledger_files import LedgerFile, files_from
from tests.support.ledgers import quick_storage
from tests.support.serving import serve
from tests.support.small_archives import SmallArchive


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    """An archive of three claims that share a file, and one alone; `double` has answered."""
    with quick_storage() as storage:
        small = SmallArchive(storage)
        small.put_shared_and_single()
        serve(small, into="double")
        yield small


def items(small: SmallArchive) -> list[LedgerFile]:
    return [item for item in files_from(small.storage, Position(), None) if item.file is not None]


def alerts_of(small: SmallArchive, item: LedgerFile) -> pa.Table:
    assert item.file is not None
    with small.storage.open(item.file.path) as source:
        return read_columns(source, list(KEYS))


def the_store(reader: AlertReader) -> ResultsStore:
    (store,) = reader.services().values()
    return store


def test_answers_are_found_by_the_names_of_the_claims_without_any_list(
    small: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of an hour its folder has thousands of files, and each file of alerts is asked."""
    reader = AlertReader(small.storage)
    store = the_store(reader)

    def refuse(*_: object) -> list[str]:
        raise AssertionError("a folder was listed")

    monkeypatch.setattr(ResultFiles, "paths", refuse)
    shared, alone = items(small)
    assert (len(shared.own_paths), len(alone.own_paths)) == (3, 1)
    for item in (shared, alone):
        assert item.file is not None
        alerts = alerts_of(small, item)
        assert reader.has_answers(store, item.own_paths)
        (records,) = reader.answers(store, item.file.path, alerts, item.own_paths).chunks
        assert records.field("double").to_pylist() == [
            2 * offset for offset in alerts["kafka_offset"].to_pylist()
        ]


def test_answers_under_other_names_are_found_too(small: SmallArchive) -> None:
    reader = AlertReader(small.storage)
    store = the_store(reader)
    for item in items(small):
        assert item.file is not None
        assert not reader.has_answers(store, [*item.own_paths, "alerts/of-nobody.parquet"])
        for own_paths in ((), ("alerts/of-nobody.parquet",), item.own_paths[:1]):
            alerts = alerts_of(small, item)
            assert not reader.answers(store, item.file.path, alerts, own_paths).null_count


def test_alerts_without_an_answer_have_none(small: SmallArchive) -> None:
    small.put(20, 24)
    reader = AlertReader(small.storage)
    store = the_store(reader)
    *_, last = items(small)
    assert last.file is not None
    assert not reader.has_answers(store, last.own_paths)
    records = reader.answers(store, last.file.path, alerts_of(small, last), last.own_paths)
    assert records.null_count == last.rows == 5


def test_a_schema_that_was_missing_is_looked_for_again(small: SmallArchive) -> None:
    """A redrive writes it again while streaming out runs."""
    first, *_ = items(small)
    assert first.file is not None
    fingerprint = str(first.file.schema_fingerprint)
    path = schema_path(fingerprint)
    text = small.storage.read(path)
    assert text is not None
    small.storage.delete([path])
    reader = AlertReader(small.storage)
    assert "has not the writer schema" in str(reader.packet_schema(fingerprint))
    small.storage.replace(path, text)
    assert "has not the writer schema" not in str(reader.packet_schema(fingerprint))
