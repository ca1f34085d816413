"""When the alerts of an object became durable, and the results for them."""

import json
from pathlib import Path

import pytest

import finkray
from finkray.ledger.entry import log_path
from finkray.ledger.read import read_entries
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import CurveArchive, ztf_alert, ztf_detection, ztf_table
from tests.support.parity import Parity, run_service
from ui.lookups.objects import object_record
from ui.lookups.records import object_json

OBJECT = "ZTF20aaaaaaa"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Two alerts of an object in two claims; the first has results."""
    storage = LocalStorage(tmp_path)
    made = CurveArchive(storage)
    made.put(ztf_table(ztf_alert(ztf_detection(1))), "ztf")
    run_service(storage, Parity())
    made.put(ztf_table(ztf_alert(ztf_detection(2))), "ztf")
    return storage


def test_times_are_those_of_the_ledgers_of_archive_and_results(storage: Storage) -> None:
    record = object_record(finkray.open_archive(storage.uri), OBJECT)
    first, second = (entry.at for entry in read_entries(storage) if entry.claims)
    results = storage.below("science/parity/1")
    (result,) = (entry.at for entry in read_entries(results) if entry.claims)
    newest, oldest = record.alerts.to_pylist()
    assert (newest["durable_at"], newest["results_durable_at"]) == (second, [])
    assert oldest["durable_at"] == first
    assert oldest["results_durable_at"] == [{"results": "parity/1", "durable_at": result}]
    assert first < result < second
    as_json = json.loads(json.dumps(object_json(record)))
    assert as_json["alerts"][1]["durable_at"] == first.isoformat()
    assert as_json["problems"] == []


def test_a_ledger_that_cannot_be_read_is_told_and_its_times_are_not_known(storage: Storage) -> None:
    storage.below("science/parity/1").replace(log_path(1), b"no entry")
    record = object_record(finkray.open_archive(storage.uri), OBJECT)
    (problem,) = record.problems
    assert problem.startswith("the ledger of parity/1 cannot be read: ledger/log/")
    for alert in record.alerts.to_pylist():
        assert alert["durable_at"] is not None
        assert alert["results_durable_at"] == []
