"""What the page of an object reads of the results of services."""

from pathlib import Path

import pyarrow as pa
import pytest

import finkray
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import CurveArchive, ztf_alert, ztf_detection, ztf_table
from tests.support.parity import run_service
from ui.lookups.objects import object_record
from ui.lookups.records import GivenClass

OBJECT = "ZTF20aaaaaaa"


class ByBrightness(finkray.Service):
    """Name alerts by their magnitude; one of 19 mag has a class without a name."""

    name = "classify"
    version = "1"
    columns = ("candidate.magpsf",)
    output = pa.schema([("class", pa.string()), ("rule", pa.string())])
    limit = 18.0

    def process(self, alerts: pa.Table) -> pa.Table:
        mags = alerts["candidate.magpsf"].to_pylist()
        names = ["" if mag == 19 else ("faint", "bright")[mag < self.limit] for mag in mags]
        return pa.table({"class": names, "rule": ["by mag"] * len(mags)}, schema=self.output)


class ByBrightnessAgain(ByBrightness):
    """The same with another limit."""

    version = "2"
    limit = 21.0


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Three alerts of an object in two topics, with one of another object between them."""
    storage = LocalStorage(tmp_path)
    made = CurveArchive(storage)
    first, other, second, third = (
        ztf_alert(ztf_detection(number, magpsf=mag), object_id=object_id)
        for number, mag, object_id in (
            (1, 17.0, OBJECT),
            (2, 17.0, "ZTF20bbbbbbb"),
            (3, 20.0, OBJECT),
            (4, 19.0, OBJECT),
        )
    )
    made.put(ztf_table(first, other, second), "night_1")
    run_service(storage, ByBrightness())
    made.put(ztf_table(third), "night_2")
    run_service(storage, ByBrightness())
    run_service(storage, ByBrightnessAgain())
    return storage


def test_each_alert_of_the_object_has_the_class_of_each_version(storage: Storage) -> None:
    record = object_record(finkray.open_archive(storage.uri), OBJECT)
    ids, mjds = (record.alerts[name].to_pylist() for name in ("alert_id", "mjd_tai"))
    times = dict(zip(ids, mjds, strict=True))
    assert record.results.problems == ()
    assert record.results.classes == (
        GivenClass("classify/1", "", times[4]),
        GivenClass("classify/1", "faint", times[3]),
        GivenClass("classify/1", "bright", times[1]),
        GivenClass("classify/2", "", times[4]),
        GivenClass("classify/2", "bright", times[3]),
        GivenClass("classify/2", "bright", times[1]),
    )


def test_the_newest_alert_has_all_columns_of_each_service(storage: Storage) -> None:
    newest = dict(object_record(finkray.open_archive(storage.uri), OBJECT).results.newest)
    row = {"class": "", "rule": "by mag", "status": "ok", "reason": None}
    assert newest == {"classify/1": row, "classify/2": row}


def test_results_that_cannot_be_read_are_told_beside_the_others(storage: Storage) -> None:
    broken = storage.below("science/classify/1")
    (file, *_) = broken.walk("results")
    broken.delete([file.path])
    broken.create(file.path, b"no Parquet")
    results = object_record(finkray.open_archive(storage.uri), OBJECT).results
    assert {given.results for given in results.classes} == {"classify/2"}
    (problem,) = results.problems
    assert problem.startswith("the results classify/1 cannot be read: ")
