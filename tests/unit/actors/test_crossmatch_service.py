from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from actors.crossmatch import Crossmatch, match
from catalogs.catalog import Catalogs
from finkray import adapter
from finkray.claim import TopicPartition
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.services.columns import pick
from finkray.services.contract import accept
from finkray.services.messages import GivenSettings, Slice, Spec
from finkray.services.service import describe, load_service
from finkray.serving.worker import Worker
from finkray.storage.local import LocalStorage
from tests.support.limits import default_limits
from tests.support.made_catalogs import describe as describe_catalog
from tests.support.made_catalogs import made, make
from tests.support.packets import real_ztf_packets

SPEC = "actors.crossmatch:Crossmatch"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crossmatch:
    monkeypatch.setenv("FINKRAY__CATALOGS__FOLDER", str(tmp_path))
    monkeypatch.setenv("FINKRAY__CATALOGS__MEMORY_BYTES", "10 MiB")
    service = load_service(SPEC)
    assert isinstance(service, Crossmatch)
    service.setup()
    return service


def packets() -> pa.Table:
    """Four alerts: two of ZTF, of which one is a known asteroid, and two of LSST."""
    return pa.table(
        {
            "candid": [1, 2, None, None],
            "candidate": [
                {"ra": 10.0, "dec": 5.0, "jd": 2461109.5, "ssdistnr": -999.0, "ssnamenr": "null"},
                {"ra": 20.0, "dec": 5.0, "jd": 2461109.5, "ssdistnr": 0.5, "ssnamenr": "Vesta"},
                None,
                None,
            ],
            "diaSource": [
                None,
                None,
                {"diaSourceId": 3, "ra": 30.0, "dec": 5.0, "midpointMjdTai": 61109.0},
                {"diaSourceId": 4, "ra": None, "dec": None, "midpointMjdTai": None},
            ],
        }
    )


def ask(service: Crossmatch, table: pa.Table) -> list[dict[str, object]]:
    """Its answer to alerts, as the framework asks for it and takes it."""
    alerts = pick(table, list(service.columns))
    answer = service.process(alerts)
    about = describe(service)
    return accept(about.output, alerts.num_rows, answer).to_pylist()


def test_each_alert_has_the_answer_of_each_catalogue(service: Crossmatch, tmp_path: Path) -> None:
    made(
        tmp_path,
        [10.0],
        [5.0],
        name="first",
        columns={"kind": ["RR"]},
        catalog={"columns": ("kind", "id")},
    )
    made(tmp_path, [30.0, 30.0], [5.0, 5.0], name="second", version="b")
    one, two, three, four = ask(service, packets())
    assert [row["solar_system_name"] for row in (one, two, three, four)] == [
        None,
        "Vesta",
        None,
        None,
    ]
    assert (two["solar_system"], one["solar_system"]) == (True, False)
    first, second = one["matches"]  # type: ignore[misc]
    assert (first["catalog"], first["status"], first["number"]) == ("first", "match", 1)
    assert dict(first["source"]) == {"kind": "RR", "id": "0"}
    assert (second["catalog"], second["version"], second["status"]) == ("second", "b", "none")
    assert second["source"] is None
    assert [one["number"] for one in three["matches"]] == [0, 2]  # type: ignore[attr-defined]
    assert [one["reason"] for one in four["matches"]] == ["no_position"] * 2  # type: ignore[attr-defined]


def test_catalogues_come_and_change_while_it_runs(service: Crossmatch, tmp_path: Path) -> None:
    assert [row["matches"] for row in ask(service, packets())] == [[]] * 4
    made(tmp_path, [10.0], [5.0], name="first")
    assert ask(service, packets())[0]["matches"][0]["status"] == "match"  # type: ignore[index]
    made(tmp_path, [11.0], [5.0], name="first", version="2")
    (answer,) = ask(service, packets())[0]["matches"]  # type: ignore[misc]
    assert (answer["version"], answer["status"]) == ("2", "none")


def test_a_broken_catalogue_does_not_hold_the_others(service: Crossmatch, tmp_path: Path) -> None:
    made(tmp_path, [10.0], [5.0], name="first")
    made(tmp_path, [10.0], [5.0], name="second")
    (tmp_path / "first" / "versions" / "1" / "main" / "partition_info.csv").unlink()
    first, second = ask(service, packets())[0]["matches"]  # type: ignore[misc]
    assert (first["status"], first["reason"]) == ("not_checked", "catalog_unreadable")
    assert second["status"] == "match"


def test_a_catalogue_that_raises_anything_does_not_hold_the_others(
    service: Crossmatch, tmp_path: Path
) -> None:
    """A shard with other columns than the description, as no build of ours makes it."""
    made(tmp_path, [10.0], [5.0], name="first")
    made(tmp_path, [10.0], [5.0], name="second")
    (leaf,) = (tmp_path / "first" / "versions" / "1" / "main").rglob("Npix*.parquet")
    pq.write_table(pq.read_table(leaf, partitioning=None).drop_columns(["ra_deg"]), leaf)
    first, second = ask(service, packets())[0]["matches"]  # type: ignore[misc]
    assert (first["status"], first["reason"]) == ("not_checked", "catalog_unreadable")
    assert second["status"] == "match"


def test_a_catalogue_whose_version_cannot_be_read_does_not_hold_the_others(
    service: Crossmatch, tmp_path: Path
) -> None:
    made(tmp_path, [10.0], [5.0], name="first")
    made(tmp_path, [10.0], [5.0], name="second")
    (tmp_path / "first" / "current").unlink()
    (tmp_path / "first" / "current").mkdir()
    (tmp_path / "Not a name").mkdir()
    (tmp_path / "Not a name" / "description.json").write_text("{}")
    first, second = ask(service, packets())[0]["matches"]  # type: ignore[misc]
    assert (first["status"], first["reason"]) == ("not_checked", "catalog_unreadable")
    assert second["status"] == "match"


def test_it_reads_no_more_of_the_packets_than_it_needs(service: Crossmatch) -> None:
    assert set(service.columns) == set(adapter.columns("detection", "solar_system"))
    assert not any("cutout" in name or "prv" in name for name in service.columns)


def test_it_runs_in_a_process_of_its_own_as_any_service(tmp_path: Path, test_data: Path) -> None:
    """Real packets as the archive has them, real stars, the process that runs users' code."""
    stars = describe_catalog(
        test_data / "catalogs" / "gcvs.parquet",
        name="gcvs",
        radius_arcsec=1.5,
        catalog={"columns": ("VarType",)},
    )
    make(tmp_path / "sky", stars)
    packets = list(real_ztf_packets(test_data, "20181129_fink-alert-simulator_498"))
    messages = [RawMessage(number, None, packet) for number, packet in enumerate(packets)]
    partition = TopicPartition("cluster", "alerts", "topic-id", 0)
    (decoded,) = Decoder().decode(messages, partition).tables
    file = tmp_path / "alerts.parquet"
    pq.write_table(decoded.table, file)
    given = GivenSettings(shared={"catalogs": {"folder": str(tmp_path / "sky")}})
    worker = Worker(Spec(SPEC), default_limits(settings=given), LocalStorage(tmp_path))
    try:
        answer = worker.run([Slice(file.name, 0, len(packets))])
    finally:
        worker.close()
    assert answer.fault is None, answer
    assert answer.table is not None
    assert answer.table.num_rows == 498
    assert (
        pc.sum(answer.table["solar_system"]).as_py()
        == pc.sum(adapter.solar_system(decoded.table)["solar_system"]).as_py()
    )
    matches = [row[0]["status"] for row in answer.table["matches"].to_pylist()]
    assert matches == match_of(decoded.table, tmp_path / "sky")


def match_of(table: pa.Table, folder: Path) -> list[str]:
    found = match(adapter.positions(table), Catalogs(folder, 10_000_000).current("gcvs"))
    statuses: list[str] = found["status"].to_pylist()
    assert "match" in statuses
    return statuses
