"""The cross-match with services on the web, as a service is run: from settings, in a process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.errors import ServiceError, SettingsError
from finkray.services.messages import Slice, Spec
from finkray.serving.run import limits_of
from finkray.serving.worker import Worker
from finkray.settings.model import Settings, load
from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage
from tests.support.archiving import wait_until
from tests.support.sky_server import Sky, running_sky

FILE = "alerts.parquet"
SPEC = Spec("actors.remote_crossmatch:RemoteCrossmatch")


@pytest.fixture
def sick() -> Iterator[Sky]:
    with running_sky() as server:
        server.mood = "hangs"
        yield server


def settings(**remote: Any) -> Settings:
    return load(None, {"FINKRAY__CATALOGS__REMOTE": json.dumps(remote)})


def a_catalog(sky: Sky, **more: Any) -> dict[str, Any]:
    return {"table": "simbad", "radius_arcsec": 1.0, "address": sky.address, **more}


@pytest.fixture
def archive(tmp_path: Path) -> Storage:
    """Three alerts of ZTF: at two stars, at one, and nowhere."""
    places = [(10.0, 5.0), (359.9999, -5.0), (None, None)]
    candidates = [{"ra": ra, "dec": dec, "jd": 2461109.5} for ra, dec in places]
    pq.write_table(pa.table({"candid": [1, 2, 3], "candidate": candidates}), tmp_path / FILE)
    return LocalStorage(tmp_path)


def matches(worker: Worker) -> list[dict[str, dict[str, Any]]]:
    """Of each alert what each catalogue says."""
    answer = worker.run([Slice(FILE, 0, 3)])
    assert answer.table is not None, answer
    rows = answer.table["matches"].to_pylist()
    return [{one["catalog"]: one for one in row} for row in rows]


def test_one_that_hangs_costs_its_time_limit_and_holds_no_other(
    sky: Sky, sick: Sky, archive: Storage
) -> None:
    both = settings(
        simbad=a_catalog(sky, columns=["main_id"]),
        vsx=a_catalog(sick, timeout_s=0.5, failures=2, rest_s=600),
    )
    worker = Worker(SPEC, limits_of(both), archive)
    try:
        rounds = [matches(worker) for _ in range(3)]
    finally:
        worker.close()
    for one, two, nowhere in rounds:
        simbad = one["simbad"]
        assert (simbad["status"], simbad["version"], simbad["number"]) == ("match", "remote", 2)
        assert simbad["separation_arcsec"] == 0.0
        assert dict(simbad["source"]) == {"main_id": "first"}
        assert dict(two["simbad"]["source"]) == {"main_id": "third"}
        assert nowhere["simbad"]["reason"] == nowhere["vsx"]["reason"] == "no_position"
        assert one["vsx"]["status"] == two["vsx"]["status"] == "not_checked"
    assert [one["vsx"]["reason"] for one, _, _ in rounds] == ["timed_out", "timed_out", "resting"]
    assert (sky.asked, sick.asked) == (3, 2)


def test_one_that_fails_is_asked_again_after_its_rest_and_comes_back(
    sick: Sky, archive: Storage
) -> None:
    sick.mood = "refuses"
    worker = Worker(
        SPEC, limits_of(settings(simbad=a_catalog(sick, failures=1, rest_s=0.05))), archive
    )
    try:
        assert matches(worker)[0]["simbad"]["reason"] == "failed"
        sick.mood = "well"
        # Its rest is by the clock of another process.
        wait_until("it comes back", lambda: matches(worker)[0]["simbad"]["status"] == "match")
    finally:
        worker.close()


def test_without_any_in_the_settings_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"no catalogue on the web in the settings: .*\.simbad"):
        Worker(SPEC, limits_of(Settings()), LocalStorage(tmp_path)).start()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"table": "II/246"}, 'expected "simbad", or "vizier:" and a table'),
        ({"address": "cds"}, "expected http:// or https://"),
        ({"address": "http://me:mine@cds/"}, "expected http:// or https:// and a host, without"),
        ({"radius_arcsec": 181}, "less than or equal to 180"),
        ({"timeout_s": 60}, r"catalogs.remote.simbad.timeout_s = 60 is not less than"),
        ({"radius": 1}, "catalogs.remote.simbad.radius is not known"),
    ],
)
def test_what_is_wrong_with_one_is_named(change: dict[str, Any], told: str) -> None:
    good = {"table": "simbad", "radius_arcsec": 1.0}
    with pytest.raises(SettingsError) as refused:
        settings(simbad={**good, **change})
    assert told in str(refused.value)
