import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from astropy.time import Time

from finkray import adapter
from finkray.adapter.ztf import sign_of_isdiffpos
from finkray.claim import TopicPartition
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from tests.support.avro_cases import container
from tests.support.packets import BROKEN_2016, real_ztf_packets

ANYWHERE = TopicPartition("cluster", "alerts", "topic-id", 0)


def tables(packets: list[bytes]) -> list[pa.Table]:
    messages = [RawMessage(number, None, packet) for number, packet in enumerate(packets)]
    return [one.table for one in Decoder().decode(messages, ANYWHERE).tables]


@pytest.fixture(scope="module")
def ztf(test_data: Path) -> list[pa.Table]:
    return tables(list(real_ztf_packets(test_data)))


@pytest.fixture(scope="module")
def ztf_records(test_data: Path) -> dict[int, dict[str, Any]]:
    records: dict[int, dict[str, Any]] = {}
    broken = 0
    for packet in real_ztf_packets(test_data):
        try:
            for record in fastavro.reader(io.BytesIO(packet)):
                records[record["candid"]] = dict(record)  # type: ignore[arg-type]
        except IndexError:
            broken += 1
    assert broken == BROKEN_2016
    return records


def lsst_packets(path: Path) -> tuple[list[dict[str, Any]], pa.Table]:
    """The records of a container as fastavro reads them, and each as a packet of its own."""
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        reader = fastavro.reader(file)
        schema, records = reader.writer_schema, list(reader)
    text = json.dumps(schema).encode()
    parsed = fastavro.parse_schema(schema)
    packets = []
    for record in records:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, parsed, record)
        packets.append(container(text, body.getvalue()))
    (table,) = tables(packets)
    return records, table  # type: ignore[return-value]


@pytest.fixture(scope="module")
def of_march(test_data: Path) -> tuple[list[dict[str, Any]], pa.Table]:
    return lsst_packets(test_data / "lsst" / "lsst_v10_0_20260309_107.avro.xz")


@pytest.fixture(scope="module")
def lsst_records(of_march: tuple[list[dict[str, Any]], pa.Table]) -> list[dict[str, Any]]:
    return of_march[0]


@pytest.fixture(scope="module")
def lsst(of_march: tuple[list[dict[str, Any]], pa.Table]) -> pa.Table:
    return of_march[1]


def test_every_real_ztf_packet_says_what_fastavro_reads(
    ztf: list[pa.Table], ztf_records: dict[int, dict[str, Any]]
) -> None:
    assert len(ztf) >= 6, "all public schema versions"
    seen = 0
    for table in ztf:
        for row in adapter.detections(table).to_pylist():
            record = ztf_records[row["alert_id"]]
            packet = record["candidate"]
            assert row["survey"] == "ztf"
            assert row["object_id"] == record["objectId"]
            assert (row["ra_deg"], row["dec_deg"]) == (packet["ra"], packet["dec"])
            utc = Time(packet["jd"], format="jd", scale="utc")
            # Two leap seconds' worth for the packets of 2016.
            assert row["mjd_tai"] == pytest.approx(utc.tai.mjd, abs=1.1 / 86_400)
            assert row["band"] == {1: "g", 2: "r", 3: "i"}[packet["fid"]]
            assert row["mag"] == pytest.approx(packet["magpsf"])
            assert (row["flux_njy"] > 0) == (packet["isdiffpos"] in ("t", "1"))
            assert 31.4 - 2.5 * np.log10(abs(row["flux_njy"])) == pytest.approx(row["mag"])
            assert row["flux_err_njy"] / abs(row["flux_njy"]) == pytest.approx(
                row["mag_err"] * np.log(10) / 2.5
            )
            seen += 1
    assert seen == 1059


def test_every_real_lsst_packet_says_what_fastavro_reads(
    lsst: pa.Table, lsst_records: list[dict[str, Any]]
) -> None:
    rows = adapter.detections(lsst).to_pylist()
    assert len(rows) == 107
    for row, record in zip(rows, lsst_records, strict=True):
        source = record["diaSource"]
        assert (row["survey"], row["alert_id"]) == ("lsst", source["diaSourceId"])
        no_object = record["diaObject"] is None
        assert row["object_id"] == (None if no_object else str(source["diaObjectId"]))
        assert (row["ra_deg"], row["dec_deg"]) == (source["ra"], source["dec"])
        assert row["mjd_tai"] == source["midpointMjdTai"]
        assert row["band"] == source["band"]
        assert row["flux_njy"] == source["psfFlux"]
        assert row["mag"] == pytest.approx(31.4 - 2.5 * np.log10(abs(source["psfFlux"])))
    assert any(row["flux_njy"] < 0 for row in rows)


def test_ztf_knows_its_solar_system_objects(
    ztf: list[pa.Table], ztf_records: dict[int, dict[str, Any]]
) -> None:
    known = 0
    for table in ztf:
        found = adapter.solar_system(table).to_pylist()
        for row, candid in zip(found, table["candid"].to_pylist(), strict=True):
            packet = ztf_records[candid]["candidate"]
            named = packet.get("ssnamenr") not in (None, "null", "")
            near = packet.get("ssdistnr") is not None and 0 <= packet["ssdistnr"] <= 5
            assert row["solar_system"] == (named and near)
            assert row["name"] == (packet["ssnamenr"] if named and near else None)
            known += row["solar_system"]
    assert known > 100


def test_lsst_knows_its_solar_system_objects_as_fink_does(
    lsst: pa.Table, lsst_records: list[dict[str, Any]], test_data: Path
) -> None:
    import pyarrow.parquet as pq

    fink = pq.read_table(test_data / "lsst" / "lsst_v10_0_20260309_107_fink_columns.parquet")
    published = {row["diaSourceId"]: row["pred"]["is_sso"] for row in fink.to_pylist()}
    found = adapter.solar_system(lsst)
    assert pc.sum(found["solar_system"]).as_py() == 25
    for row, record in zip(found.to_pylist(), lsst_records, strict=True):
        assert row["solar_system"] == published[record["diaSourceId"]]
        if row["solar_system"]:
            assert row["name"] == record["ssSource"]["designation"]
            assert row["separation_arcsec"] == pytest.approx(record["ssSource"]["ephOffset"])


def test_the_history_of_ztf_has_detections_and_limits(
    ztf: list[pa.Table], ztf_records: dict[int, dict[str, Any]]
) -> None:
    detections = limits = 0
    for table in ztf:
        lists = adapter.history(table)
        for points, candid in zip(lists.to_pylist(), table["candid"].to_pylist(), strict=True):
            before = ztf_records[candid]["prv_candidates"] or []
            assert len(points) == len(before)
            for point, then in zip(points, before, strict=True):
                # The packets of 2016 have upper limits alone.
                detected = (then.get("magpsf") or 0) > 0
                assert (point["flux_njy"] is not None) == detected
                assert point["band"] == {1: "g", 2: "r", 3: "i"}[then["fid"]]
                detections += detected
                limits += not detected
    assert detections > 1000
    assert limits > 1000


def test_the_history_of_lsst(lsst: pa.Table, lsst_records: list[dict[str, Any]]) -> None:
    lists = adapter.history(lsst).to_pylist()
    for points, record in zip(lists, lsst_records, strict=True):
        before = record["prvDiaSources"] or []
        assert [point["mjd_tai"] for point in points] == [s["midpointMjdTai"] for s in before]
        assert [point["flux_njy"] for point in points] == [s["psfFlux"] for s in before]
    assert max(map(len, lists)) == 1172


# The header of some real cutouts is not written as the standard has it.
@pytest.mark.filterwarnings("ignore:Found a SIMPLE card:astropy.io.fits.verify.VerifyWarning")
def test_cutouts_open_as_fits_for_both(ztf: list[pa.Table], lsst: pa.Table) -> None:
    tables_with_images = [table for table in ztf if table["cutoutScience"].null_count == 0]
    for table in (*tables_with_images, lsst):
        images = adapter.cutouts(table.slice(0, 1)).to_pylist()[0]
        if images["science"][:2] == b"\xff\xd8":
            continue  # 2016: JPEG
        for image in images.values():
            with fits.open(io.BytesIO(adapter.fits_bytes(image))) as hdus:
                assert any(hdu.data is not None and hdu.data.ndim == 2 for hdu in hdus)


def test_packets_without_cutouts_have_none(ztf: list[pa.Table]) -> None:
    bare = [table for table in ztf if table["cutoutScience"].null_count == table.num_rows]
    assert bare, "AMPEL's packets of 2021"
    assert adapter.cutouts(bare[0])["science"].null_count == bare[0].num_rows


def test_one_table_may_have_both_surveys(ztf: list[pa.Table], lsst: pa.Table) -> None:
    both = pa.concat_tables(
        [
            ztf[0].select(["candid", "objectId", "candidate", "prv_candidates"]),
            lsst.select(["diaSource", "ssSource", "prvDiaSources"]),
        ],
        promote_options="default",
    )
    apart = [*adapter.detections(ztf[0]).to_pylist(), *adapter.detections(lsst).to_pylist()]
    assert adapter.detections(both).to_pylist() == apart
    points = [*adapter.history(ztf[0]).to_pylist(), *adapter.history(lsst).to_pylist()]
    assert adapter.history(both).to_pylist() == points


def test_columns_by_their_dotted_names_do_as_well(lsst: pa.Table) -> None:
    wanted = adapter.columns("detection", "solar_system")
    source = lsst["diaSource"].combine_chunks()
    have = [name for name in wanted if name.startswith("diaSource.")]
    flat = pa.table(
        {
            name: pc.struct_field(source, name.split(".")[1])
            for name in have
            if source.type.get_field_index(name.split(".")[1]) >= 0
        }
    )
    assert adapter.detections(flat).equals(adapter.detections(lsst))


def test_what_is_missing_is_null_and_so_are_sentinels() -> None:
    candidate = {
        "ra": -999.0,
        "dec": float("nan"),
        "jd": -999.0,
        "fid": 7,
        "magpsf": -999.0,
        "ssdistnr": -999.0,
        "ssnamenr": "null",
    }
    table = pa.table({"candid": [1, 2], "candidate": [candidate, None]})
    for row in adapter.detections(table).to_pylist():
        assert {name for name, value in row.items() if value is not None} == {"survey", "alert_id"}
    assert (
        adapter.solar_system(table).to_pylist()
        == [{"solar_system": False, "name": None, "separation_arcsec": None}] * 2
    )
    nothing = adapter.detections(pa.table({"other": [1]})).to_pylist()
    assert nothing == [dict.fromkeys(adapter.DETECTION.names)]
    assert adapter.history(pa.table({"other": [1]})).to_pylist() == [[]]
    assert adapter.detections(table.slice(0, 0)).num_rows == 0


def test_lsst_of_2015_has_other_names(test_data: Path) -> None:
    records, table = lsst_packets(test_data / "lsst" / "lsst_v3_hits2015_10.avro")
    for row, record in zip(adapter.detections(table).to_pylist(), records, strict=True):
        source = record["diaSource"]
        assert row["dec_deg"] == source["decl"]
        assert row["mjd_tai"] == source["midPointTai"]
        assert row["band"] == source["filterName"]
        flux = source["psFlux"]
        assert row["flux_njy"] == (flux if np.isfinite(flux) else None)


def test_the_neighbour_that_ztf_names(
    ztf: list[pa.Table], ztf_records: dict[int, dict[str, Any]], lsst: pa.Table
) -> None:
    named = 0
    for table in ztf:
        found = adapter.neighbours(table).to_pylist()
        for candid, row in zip(table["candid"].to_pylist(), found, strict=True):
            candidate = ztf_records[candid]["candidate"]
            score, away = candidate.get("sgscore1"), candidate.get("distpsnr1")
            if score is None or away is None or not (score >= 0 and away >= 0):
                assert row == {"star_score": None, "separation_arcsec": None}
                continue
            assert row["star_score"] == pytest.approx(score)
            assert row["separation_arcsec"] == pytest.approx(away)
            named += 1
    assert named > 900
    assert adapter.neighbours(lsst)["star_score"].null_count == 107


@pytest.mark.parametrize(
    ("spelling", "sign"),
    [
        *(
            (text, 1)
            for text in ("t", "T", "1", "true", "True", " t ", "1.0", "y", "+1.00", "pos", "'t'")
        ),
        *(
            (text, -1)
            for text in ("f", "F", "0", "false", "FALSE", "0.0", "-1", "n", "-1.00", "neg")
        ),
        *((text, None) for text in ("", "?", "null", "2", "tr", "1e0", "-999", None)),
        *((value, sign) for value, sign in ((True, 1), (False, -1), (1, 1), (0, -1), (7, None))),
    ],
)
def test_an_unknown_sign_is_null_and_never_negative(spelling: object, sign: int | None) -> None:
    candidate = {"magpsf": 20.0, "sigmapsf": 0.1, "isdiffpos": spelling, "jd": 2459000.5}
    alert = {"candid": 1, "candidate": candidate, "prv_candidates": [candidate]}
    table = pa.Table.from_pylist([alert])
    flux = adapter.detections(table)["flux_njy"][0].as_py()
    assert (flux and np.sign(flux)) == sign
    assert adapter.history(table)[0].as_py()[0]["flux_njy"] == flux


def test_each_alert_has_the_sign_of_its_own_spelling() -> None:
    spellings = pa.array(["f", "t", None, "t", "?", "1", "f", "0"])
    signs = [-1, 1, None, 1, None, 1, -1, -1]
    assert sign_of_isdiffpos(spellings).to_pylist() == signs
    assert sign_of_isdiffpos(spellings.slice(2, 3)).to_pylist() == signs[2:5]
    assert sign_of_isdiffpos(spellings.slice(0, 0)).to_pylist() == []


@pytest.mark.parametrize(
    ("in_source", "in_match", "known"),
    [(0, 7, True), (None, 7, True), (7, None, True), (0, 0, False), (0, None, False)],
)
def test_an_id_of_zero_is_no_solar_system_object(
    in_source: int | None, in_match: int | None, known: bool
) -> None:
    match = None if in_match is None else {"ssObjectId": in_match, "designation": "2026 AB"}
    alert = {"diaSource": {"diaSourceId": 1, "ssObjectId": in_source}, "ssSource": match}
    schema = pa.schema(
        [
            ("diaSource", pa.struct([("diaSourceId", pa.int64()), ("ssObjectId", pa.int64())])),
            ("ssSource", pa.struct([("ssObjectId", pa.int64()), ("designation", pa.string())])),
        ]
    )
    (row,) = adapter.solar_system(pa.Table.from_pylist([alert], schema)).to_pylist()
    assert row["solar_system"] is known


def test_bytes_behind_a_gzipped_cutout_are_ignored_and_a_cut_one_is_refused() -> None:
    file = gzip.compress(b"SIMPLE  =" * 1000)
    for behind in (b"", bytes(17), b"anything", file):
        assert adapter.fits_bytes(file + behind) == b"SIMPLE  =" * 1000
    for broken in (file[:-9], file[:20], file[:30] + b"????" + file[34:]):
        with pytest.raises(ValueError, match=r"cut short|no valid gzip"):
            adapter.fits_bytes(broken)
