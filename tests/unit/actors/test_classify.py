"""The service as it runs: real alerts of both surveys, real and small catalogues."""

import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.classify import Classify
from finkray import adapter
from finkray.claim import TopicPartition
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.services.columns import pick
from finkray.services.contract import accept
from finkray.services.service import describe, load_service
from tests.support.made_catalogs import describe as describe_catalog
from tests.support.made_catalogs import made, make
from tests.support.packets import real_ztf_packets

PAGE = Path(__file__).parents[3] / "docs" / "classify.md"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classify:
    monkeypatch.setenv("FINKRAY__CATALOGS__FOLDER", str(tmp_path / "sky"))
    service = load_service("actors.classify:Classify")
    assert isinstance(service, Classify)
    service.setup()
    return service


def ask(service: Classify, table: pa.Table) -> list[dict[str, Any]]:
    """Its answer to alerts, as the framework asks for it and takes it."""
    alerts = pick(table, list(service.columns))
    about = describe(service)
    answer = accept(about.output, alerts.num_rows, service.process(alerts))
    return [dict(row) for row in answer.to_pylist()]


def gcvs(test_data: Path, folder: Path) -> None:
    stars = describe_catalog(
        test_data / "catalogs" / "gcvs.parquet",
        name="gcvs",
        version="2022-06",
        radius_arcsec=1.5,
        catalog={"columns": ("VarType",)},
        types={"column": "VarType", "words": "gcvs"},
    )
    make(folder, stars)


def small(folder: Path, name: str, otype: str, **more: Any) -> None:
    """A catalogue with one source, at 10, 5."""
    folder.mkdir(exist_ok=True)
    made(
        folder,
        [10.0],
        [5.0],
        name=name,
        columns={"otype": [otype]},
        catalog={"columns": ("otype",)},
        **{"types": {"column": "otype", "words": "simbad"}, **more},
    )


def test_the_21_stars_of_the_gcvs_among_the_public_alerts_of_ztf(
    service: Classify, test_data: Path, tmp_path: Path
) -> None:
    """Astropy's number, through the packets of all schema versions; what ZTF itself knows stays."""
    gcvs(test_data, tmp_path / "sky")
    packets = [RawMessage(n, None, one) for n, one in enumerate(real_ztf_packets(test_data))]
    decoded = Decoder().decode(packets, TopicPartition("cluster", "alerts", "topic-id", 0)).tables
    rows = [row for one in decoded for row in ask(service, one.table)]
    assert len(rows) == 1059
    matched = [row for row in rows if row["checked"][0]["status"] == "match"]
    assert len(matched) == 21
    assert {row["catalog_version"] for row in matched} == {"2022-06"}
    assert all(row["catalog_type"] in row["rule"] for row in matched)
    known = sum(
        adapter.solar_system(pick(one.table, list(service.columns)))["solar_system"]
        .to_pylist()
        .count(True)
        for one in decoded
    )
    assert Counter(row["class"] for row in rows) == {
        "Solar System": known,
        "RR*": 6,
        "LP*": 4,
        "Mi*": 3,
        "EB*": 3,
        "WV*": 2,
        "Ir*": 1,
        "Sy*": 1,
        "Or*": 1,
        "galaxy host candidate": 26,
        "Unknown": 1059 - 21 - 26 - known,
    }
    assert known == 241


def of_lsst(test_data: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each of the 107 alerts with what Fink published about it."""
    folder = test_data / "lsst"
    table = pq.read_table(folder / "lsst_v10_0_20260309_107_fink_columns.parquet")
    published = {row["diaSourceId"]: row for row in table.to_pylist()}
    with lzma.open(folder / "lsst_v10_0_20260309_107.avro.xz") as file:
        for record in fastavro.reader(file):
            assert isinstance(record, dict)
            yield record, published[record["diaSourceId"]]


def lsst_table(records: list[dict[str, Any]]) -> pa.Table:
    names = ("diaSource", "ssSource")
    return pa.Table.from_pylist([{name: one[name] for name in names} for one in records])


def differences(
    rows: list[dict[str, Any]], published: list[dict[str, Any]]
) -> dict[tuple[str, str], int]:
    """How often which class stands beside what Fink says of the same alert."""
    pairs: Counter[tuple[str, str]] = Counter()
    for row, fink in zip(rows, published, strict=True):
        if fink["pred"]["is_sso"]:
            theirs = "is_sso"
        else:
            theirs = fink["xm"]["simbad_otype"] or fink["xm"]["vsx_Type"] or "nothing"
        pairs[row["class"], theirs] += 1
    return dict(pairs)


def test_the_alerts_of_lsst_beside_what_fink_says_with_the_catalogues_at_hand(
    service: Classify, test_data: Path, tmp_path: Path
) -> None:
    """All differences are alerts that Fink found in SIMBAD, which is not at hand."""
    gcvs(test_data, tmp_path / "sky")
    records, published = zip(*of_lsst(test_data), strict=True)
    rows = ask(service, lsst_table(list(records)))
    found = differences(rows, list(published))
    assert sum(found.values()) == 107
    assert found.pop(("Solar System", "is_sso")) == 25
    same = found.pop(("Unknown", "nothing"))
    assert {ours for ours, _ in found} == {"Unknown"}
    documented = PAGE.read_text()
    assert f"| `Unknown` | nothing | {same} |" in documented
    for (_, theirs), count in found.items():
        assert f"| `Unknown` | {theirs} | {count} |" in documented


def test_given_what_fink_found_in_simbad_the_differences_are_gone(
    service: Classify, test_data: Path, tmp_path: Path
) -> None:
    """Fink's matches as a catalogue: each of them gets the class that Fink publishes."""
    records, published = zip(*of_lsst(test_data), strict=True)
    matched = [
        (record["diaSource"], fink["xm"]["simbad_otype"])
        for record, fink in zip(records, published, strict=True)
        if fink["xm"]["simbad_otype"]
    ]
    assert len(matched) == 58
    (tmp_path / "sky").mkdir()
    made(
        tmp_path / "sky",
        [source["ra"] for source, _ in matched],
        [source["dec"] for source, _ in matched],
        name="simbad",
        radius_arcsec=1.0,
        columns={"otype": [otype for _, otype in matched]},
        catalog={"columns": ("otype",)},
        types={"column": "otype", "words": "simbad"},
    )
    rows = ask(service, lsst_table(list(records)))
    for row, fink in zip(rows, published, strict=True):
        if otype := fink["xm"]["simbad_otype"]:
            assert row["class"] == otype == fink["pred"]["main_label_crossmatch"]
    found = differences(rows, list(published))
    assert {pair for pair in found if pair[0] != pair[1]} == {
        ("Solar System", "is_sso"),
        ("Unknown", "nothing"),
    }


def one_alert(**candidate: Any) -> pa.Table:
    record = {"ra": 10.0, "dec": 5.0, "jd": 2461109.5, **candidate}
    return pa.table({"candid": [1], "candidate": [record]})


def test_catalogues_come_and_change_while_it_runs_and_say_their_version(
    service: Classify, tmp_path: Path
) -> None:
    (row,) = ask(service, one_alert())
    assert (row["class"], row["checked"]) == ("not checked", [])
    small(tmp_path / "sky", "simbad", "QSO")
    (row,) = ask(service, one_alert())
    assert (row["class"], row["catalog_version"]) == ("QSO", "1")
    small(tmp_path / "sky", "simbad", "Sy1", version="2")
    (row,) = ask(service, one_alert())
    assert (row["class"], row["catalog_version"]) == ("Sy1", "2")


def test_a_catalogue_without_types_is_not_asked(service: Classify, tmp_path: Path) -> None:
    small(tmp_path / "sky", "gaia", "", types={})
    (row,) = ask(service, one_alert())
    assert row["rule"] == "no catalogue that tells types is built"


def test_a_catalogue_of_galaxies_needs_no_column(service: Classify, tmp_path: Path) -> None:
    small(tmp_path / "sky", "glade", "", types={"every": "G"})
    (row,) = ask(service, one_alert())
    assert row["class"] == "galaxy host candidate"
    assert row["rule"].startswith("a galaxy, G in glade 1, 0.00 arcsec away")


def test_a_broken_catalogue_is_not_taken_for_an_empty_sky(
    service: Classify, tmp_path: Path
) -> None:
    small(tmp_path / "sky", "simbad", "QSO")
    (tmp_path / "sky/simbad/versions/1/main/partition_info.csv").unlink()
    (row,) = ask(service, one_alert(sgscore1=0.01, distpsnr1=0.5))
    assert (row["class"], row["rule"]) == ("not checked", "simbad: catalog_unreadable")


def test_the_sentinels_of_ztf_are_no_galaxy(service: Classify, tmp_path: Path) -> None:
    small(tmp_path / "sky", "simbad", "QSO")
    elsewhere = {"ra": 50.0, "sgscore1": -999.0, "distpsnr1": -999.0}
    (row,) = ask(service, one_alert(**elsewhere))
    assert row["class"] == "Unknown"


def test_it_reads_no_more_of_the_packets_than_it_needs(service: Classify) -> None:
    assert not any("cutout" in name or "prv" in name for name in service.columns)
