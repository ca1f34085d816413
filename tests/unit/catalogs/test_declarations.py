"""What a file says of its columns beside the description: names, ids, epochs, placeholders."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogs.declarations import read_epoch
from finkray.errors import CatalogError
from tests.support.made_catalogs import ANGLES, describe, make, rows_of


def source(tmp_path: Path, count: int = 12, **columns: Any) -> Path:
    """Sources in a small patch, with columns in place of, or beside, id, ra and dec."""
    rng = np.random.default_rng(2)
    place = {"ra": rng.uniform(100, 110, count), "dec": rng.uniform(-5, 5, count)}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": np.arange(count), **place, **columns}), path)
    return path


def refused(tmp_path: Path, path: Path, **more: Any) -> str:
    with pytest.raises(CatalogError) as error:
        make(tmp_path / "store", describe(path, **more))
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("ra", "dec", "sky"),
    [
        ("GLON", "GLAT", "galactic"),
        ("l", "b", "galactic"),
        ("gal_lon", "gal_lat", "galactic"),
        ("ecl_lon", "ecl_lat", "ecliptic"),
        ("ELON", "ELAT", "ecliptic"),
        ("SGL", "SGB", "supergalactic"),
        ("RAB1950", "DEB1950", "another equinox"),
        ("_RAB1875", "_DEB1875", "another equinox"),
        ("ra1950", "dec1950", "another equinox"),
    ],
)
def test_names_of_other_frames_are_refused(tmp_path: Path, ra: str, dec: str, sky: str) -> None:
    rng = np.random.default_rng(2)
    path = source(tmp_path, **{ra: rng.uniform(0, 9, 12), dec: rng.uniform(0, 9, 12)})
    position = {"ra": ra, "dec": dec}
    message = refused(tmp_path, path, position=position)
    assert f"{ra}: by its name it is {sky}" in message
    assert "the description means ICRS" in message
    ignored = describe(path, position=position, checks={"declarations": "ignore"})
    assert make(tmp_path / "ignored", ignored).rows == 12


@pytest.mark.parametrize("names", [("RAJ2000", "DEJ2000"), ("_RA", "_DE"), ("ra_icrs", "dec_icrs"),
                                   ("RA1991", "DE1991"), ("RAdeg", "DEdeg")])  # fmt: skip
def test_names_of_our_frame_are_accepted(tmp_path: Path, names: tuple[str, str]) -> None:
    path = source(tmp_path, **{name: np.linspace(1, 2, 12) for name in names})
    assert len(rows_of(path, position={"ra": names[0], "dec": names[1]})) == 12


@pytest.mark.parametrize(
    ("names", "unit"),
    [
        (("RArad", "DErad"), "rad"),
        (("ra_rad", "dec_rad"), "rad"),
        (("ra [radians]", "dec [radians]"), "radians"),
        (("RAh", "DEh"), "h"),
        (("ra(hours)", "dec(hours)"), "hours"),
        (("RAJ2000_arcsec", "DEJ2000_arcsec"), "arcsec"),
        (("ra_icrs_mas", "de_icrs_mas"), "mas"),
    ],
)
def test_a_unit_in_a_name_that_contradicts_the_description_is_refused(
    tmp_path: Path, names: tuple[str, str], unit: str
) -> None:
    path = source(tmp_path, **{name: np.linspace(1.0, 1.2, 12) for name in names})
    position = dict(zip(("ra", "dec"), names, strict=True))
    assert f"by its name it is in {unit}, the description says deg" in refused(
        tmp_path, path, position=position
    )
    agreeing = {**position, "ra_unit": unit, "dec_unit": unit}
    assert len(rows_of(path, position=agreeing)) == 12


@pytest.mark.parametrize("form", ["ascii.ecsv", "fits", "parquet"])
@pytest.mark.parametrize(
    ("frame", "equinox", "told"),
    [("fk4", "B1950", "fk4"), ("fk5", "J1975", "equinox J1975"), ("icrs", None, "")],
)
def test_the_frame_of_an_astropy_coordinate_is_heard(
    tmp_path: Path, form: str, frame: str, equinox: str | None, told: str
) -> None:
    more = {"equinox": equinox} if equinox else {}
    sky = SkyCoord([10, 11], [1, 2], unit="deg", frame=frame, **more)
    path = tmp_path / f"x.{form.rpartition('.')[2]}"
    Table({"id": [1, 2], "pos": sky}).write(path, format=form)
    position = {"ra": "pos.ra", "dec": "pos.dec"}
    if told:
        assert f"the file says {told}" in refused(tmp_path, path, position=position)
    else:
        assert len(rows_of(path, position=position)) == 2


@pytest.mark.parametrize("form", ["ascii.ecsv", "parquet"])
def test_the_keywords_and_ucds_of_an_astropy_table_are_heard(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x.{form.rpartition('.')[2]}"
    table = Table({"id": [1, 2], "ra": [1.0, 2.0], "dec": [3.0, 4.0]})
    table.meta |= {"RADESYS": "FK5", "EQUINOX": 1950.0}
    table["ra"].meta["ucd"] = "pos.galactic.lon"
    table.write(path, format=form)
    message = refused(tmp_path, path)
    assert "the file says equinox 1950.0 (RADESYS, EQUINOX)" in message
    assert "pos.galactic.lon" in message


def test_another_number_of_rows_than_described_is_refused(tmp_path: Path) -> None:
    """Of CSV that was cut short behind a row, nothing else tells."""
    path = tmp_path / "x.csv"
    path.write_text("id,ra,dec\n1,10,5\n2,11,5\n")
    assert "has 2 rows, source.rows says 3" in refused(tmp_path, path, files={"rows": 3})
    assert make(tmp_path / "whole", describe(path, files={"rows": 2})).rows == 2


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (np.arange(12) + 2.0**53, "only below"),
        (np.arange(12) + 0.5, "an id such as 0.5"),
        ((np.arange(12) + 2**24).astype("f4"), "only below"),
        ([float("inf")] * 12, "an id such as inf"),
    ],
)
def test_ids_that_are_no_whole_numbers_are_refused(tmp_path: Path, ids: Any, told: str) -> None:
    path = source(tmp_path, id=ids)
    message = refused(tmp_path, path, catalog={"id": "id"})
    assert "column id" in message
    assert told in message


@pytest.mark.parametrize(
    ("ids", "read"),
    [
        (np.arange(12) + 0.0, list(range(12))),
        (np.arange(12, dtype="u8") + 2**63, [2**63 + n for n in range(12)]),
        ([f"{n:03d} " for n in range(12)], [f"{n:03d}" for n in range(12)]),
        ([None, *range(1, 12)], [None, *range(1, 12)]),
        ([float("nan"), *range(1, 12)], [None, *range(1, 12)]),
        ([f"{n}".encode() for n in range(12)], [f"{n}" for n in range(12)]),
    ],
)
def test_ids_are_texts_or_whole_numbers(tmp_path: Path, ids: Any, read: list[Any]) -> None:
    path = source(tmp_path, id=ids)
    assert [row["id"] for row in rows_of(path, catalog={"id": "id"})] == read
    assert make(tmp_path / "store", describe(path, catalog={"id": "id"})).rows == 12


def test_ids_that_differ_in_blanks_alone_are_one_id(tmp_path: Path) -> None:
    path = source(tmp_path, id=["a", "a "] + [f"{n}" for n in range(10)])
    with pytest.raises(CatalogError, match="1 of 12 rows have the id of an earlier row"):
        make(tmp_path / "store", describe(path, catalog={"id": "id"}))


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("J2016.0", 2016.0), ("2016", 2016.0), ("B1950", 1949.99979), ("57388.5", 2016.0),
        ("MJD 57388.5", 2016.0), ("JD2457389.0", 2016.0), ("BJD 2457389", 2016.0),
        ("2457389.0", 2016.0), ("2016-01-01T12:00:00", 2016.0), ("spring", None), ("", None),
    ],
)  # fmt: skip
def test_epochs_are_read_in_any_form(text: str, year: float | None) -> None:
    read = read_epoch(text)
    assert read == (None if year is None else pytest.approx(year, abs=1e-3))


@pytest.mark.parametrize("column", ["ref_epoch", "REF_EPOCH"])
@pytest.mark.parametrize("epochs", [[2016.0] * 12, [2015.5] * 6 + [2016.0] * 6, [57388.5] * 12])
def test_the_epoch_of_each_row_is_heard(tmp_path: Path, column: str, epochs: list[float]) -> None:
    path = source(tmp_path, **{column: epochs})
    message = refused(tmp_path, path)
    assert f"{column}: the file says epoch" in message
    assert "the description 2000 (position.epoch_year)" in message
    if len(set(epochs)) == 1:
        right = describe(path, position={"epoch_year": 2016.0})
        assert make(tmp_path / "right", right).rows == 12


@pytest.mark.parametrize(
    ("ra", "dec", "told"),
    [
        (-999.0, -999.0, "2 rows have -999 in ra or dec"),
        (-9999.0, 5.0, "2 rows have -9999 in ra or dec"),
        (999.99, 99.99, "2 rows have 999.99 in ra or dec"),
        (5.0, -99.0, "2 rows have -99 in ra or dec"),
        (1e30, 1e30, "2 rows have 1e+30 in ra or dec"),
        (-1.6375e30, -1.6375e30, "2 rows have -1.6375e+30 in ra or dec"),
    ],
)
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_placeholders_beyond_the_sphere_are_named(
    tmp_path: Path, ra: float, dec: float, told: str, kind: str
) -> None:
    path = source(
        tmp_path,
        ra=np.array([ra, ra, *np.linspace(100, 110, 10)], kind),
        dec=np.array([dec, dec, *np.linspace(-5, 5, 10)], kind),
    )
    message = refused(tmp_path, path)
    assert told in message
    assert 'checks.placeholder_positions = "drop"' in message
    dropped = make(tmp_path / "drop", describe(path, checks={"placeholder_positions": "drop"}))
    assert (dropped.rows, dropped.dropped_null_positions) == (10, 2)


@pytest.mark.parametrize("place", [0.0, -1.0])
def test_many_sources_at_one_placeholder_are_named(tmp_path: Path, place: float) -> None:
    ra, dec = [place] * 3 + [100.0] * 9, [place] * 3 + [5.0] * 9
    path = source(tmp_path, ra=ra, dec=dec)
    assert f"3 sources lie exactly at ({place:g}, {place:g})" in refused(tmp_path, path)
    for word, rows in (("drop", 9), ("keep", 12)):
        checks = {"placeholder_positions": word}
        assert make(tmp_path / word, describe(path, checks=checks)).rows == rows
    few = source(tmp_path, ra=[*ra[1:], 1.0], dec=[*dec[1:], 1.0])
    assert make(tmp_path / "few", describe(few)).rows == 12, "two sources may lie there"


def test_placeholders_of_motions_are_named_and_are_no_motion(tmp_path: Path) -> None:
    motions = [9999.0, *np.linspace(-5, 5, 11)]
    path = source(tmp_path, pmra=motions, pmdec=motions)
    motion = {"ra": "pmra", "dec": "pmdec"}
    assert "1 rows have 9999 in pmra and pmdec" in refused(tmp_path, path, proper_motion=motion)
    checks = {"placeholder_positions": "drop"}
    built = make(tmp_path / "drop", describe(path, proper_motion=motion, checks=checks))
    assert built.rows == 12
    assert built.fastest_mas_yr < 10


def test_a_position_that_is_true_or_false_is_no_number(tmp_path: Path) -> None:
    path = source(tmp_path, ra=[True] * 12)
    with pytest.raises(CatalogError, match="ra: is no number"):
        make(tmp_path / "store", describe(path))


SPELLINGS = [(unit, text) for unit, texts in ANGLES.items() for text in texts]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SPELLINGS), st.sampled_from(SPELLINGS))
def test_positions_in_any_unit_are_right_or_refused(
    tmp_path: Path, declared: tuple[str, str], described: tuple[str, str]
) -> None:
    """In a patch so small that no range tells: only the declaration does."""
    schema = pa.schema(
        [
            ("id", pa.int64()),
            pa.field("ra", pa.float64(), metadata={b"unit": declared[1].encode()}),
            ("dec", pa.float64()),
        ]
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([[1, 2], [0.5, 0.6], [0.1, 0.2]], schema=schema), path)
    position = {"ra_unit": described[1]}
    if declared[0] == described[0]:
        assert len(rows_of(path, position=position)) == 2
        return
    with pytest.raises(CatalogError) as error:
        rows_of(path, position=position)
    assert f"the file says {declared[1]}, the description {described[1]}" in str(error.value)
