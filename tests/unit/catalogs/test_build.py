import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table
from hats.io.validation import is_valid_catalog

from actors.crossmatch import match
from catalogs.build import build
from catalogs.catalog import Catalogs
from catalogs.description import Description, read_description
from catalogs.store import CatalogStore
from finkray.errors import CatalogError, SettingsError
from tests.support.made_catalogs import alerts, describe, made, make


@pytest.fixture
def stars() -> pa.Table:
    """Sources all over the sky with an integer, a text and a number that may be missing."""
    rng = np.random.default_rng(8)
    count = 3000
    mag = pa.array(rng.uniform(5, 20, count).astype("f4"), mask=rng.uniform(size=count) < 0.1)
    return pa.table(
        {
            "id": np.arange(count),
            "ra": rng.uniform(0, 360, count),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, count))),
            "kind": [f"type {number % 7}" for number in range(count)],
            "mag": mag,
        }
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=700)


def write_csv(table: pa.Table, path: Path) -> None:
    pa.csv.write_csv(table, path)


def as_astropy(table: pa.Table) -> Table:
    out = Table()
    for name in table.column_names:
        values = table[name].to_pandas()
        mask = table[name].is_null().to_numpy()
        data = values.fillna(0).to_numpy() if mask.any() else values.to_numpy()
        if data.dtype == object or data.dtype.kind not in "if":
            data = data.astype(str)
        out[name] = MaskedColumn(data, mask=mask) if mask.any() else data
    out["ra"].unit = out["dec"].unit = "deg"
    return out


def write_fits(table: pa.Table, path: Path) -> None:
    as_astropy(table).write(path, format="fits")


def write_votable(table: pa.Table, path: Path) -> None:
    as_astropy(table).write(path, format="votable")


def write_hats(table: pa.Table, path: Path) -> None:
    source = path.with_suffix(".origin.parquet")
    write_parquet(table, source)
    columns = {"columns": ("id", "kind", "mag", "ra", "dec"), "shard_rows": 200}
    make(path.parent / "origin", describe(source, catalog=columns))
    (path.parent / "origin" / "made" / "versions" / "1").rename(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("stars.parquet", write_parquet),
        ("stars.csv", write_csv),
        ("stars.fits", write_fits),
        ("stars.vot", write_votable),
        ("stars_hats", write_hats),
    ],
)
def test_every_format_gives_the_same_catalogue(
    stars: pa.Table, tmp_path: Path, name: str, write: Callable[[pa.Table, Path], None]
) -> None:
    write(stars, tmp_path / name)
    built = make(
        tmp_path,
        describe(
            tmp_path / name, catalog={"id": "id", "columns": ("kind", "mag"), "shard_rows": 100}
        ),
    )
    assert (built.rows_read, built.rows) == (3000, 3000)
    assert built.shards > 12
    catalog = Catalogs(tmp_path, 10_000_000).current("made")
    answer = match(alerts(stars["ra"], stars["dec"]), catalog)
    assert answer["status"].to_pylist() == ["match"] * 3000
    for row, found in zip(stars.to_pylist(), answer["nearest"].to_pylist(), strict=True):
        assert (found["id"], found["kind"]) == (row["id"], row["kind"])
        # FITS has NaN where others have null.
        missing = found["mag"] is None or np.isnan(found["mag"])
        assert missing if row["mag"] is None else found["mag"] == pytest.approx(row["mag"])


def test_the_hats_library_and_lsdb_find_nothing_wrong(stars: pa.Table, tmp_path: Path) -> None:
    import lsdb

    write_parquet(stars, tmp_path / "stars.parquet")
    make(
        tmp_path,
        describe(
            tmp_path / "stars.parquet",
            radius_arcsec=60.0,
            catalog={"columns": ("id", "kind", "mag"), "shard_rows": 1000},
        ),
    )
    folder = tmp_path / "made" / "versions" / "1"
    assert is_valid_catalog(folder, strict=True)
    assert is_valid_catalog(folder / "margin", strict=True)
    catalog = lsdb.open_catalog(folder)
    assert catalog.margin is not None
    opened = catalog.compute(progress_bar=False)
    assert sorted(opened["id"]) == list(range(3000))
    # LSDB's own cross-match, with the catalogue itself, looks over the borders too.
    pairs = catalog.crossmatch(
        catalog,
        radius_arcsec=60.0,
        n_neighbors=1,
        suffixes=("_a", "_b"),
        suffix_method="all_columns",
    ).compute(progress_bar=False)
    assert len(pairs) == 3000
    assert (pairs["id_a"] == pairs["id_b"]).all()


def test_lsdb_finds_over_the_borders_what_we_find(tmp_path: Path) -> None:
    """The margins are wide enough for LSDB's cross-match to equal ours."""
    import lsdb

    rng = np.random.default_rng(9)
    ra, dec = 40 + rng.uniform(0, 2, 2000), rng.uniform(-1, 1, 2000)
    catalogs = made(tmp_path, ra, dec, radius_arcsec=60.0, catalog={"shard_rows": 200})
    near_ra, near_dec = ra + rng.uniform(-0.02, 0.02, 2000), dec + rng.uniform(-0.02, 0.02, 2000)
    answer = match(alerts(near_ra, near_dec), catalogs.current("made"))
    ours = {number: row["id"] for number, row in enumerate(answer["nearest"].to_pylist()) if row}
    import pandas as pd

    left = lsdb.from_dataframe(pd.DataFrame({"alert": range(2000), "ra": near_ra, "dec": near_dec}))
    right = lsdb.open_catalog(tmp_path / "made" / "versions" / "1")
    pairs = left.crossmatch(
        right, radius_arcsec=60.0, suffixes=("_a", "_b"), suffix_method="all_columns"
    ).compute(progress_bar=False)
    assert dict(zip(pairs["alert_a"], pairs["id_b"], strict=True)) == ours
    assert 500 < len(ours) < 2000


Rows = dict[str, Any]


def plain(count: int = 50) -> Rows:
    rng = np.random.default_rng(1)
    return {
        "id": np.arange(count),
        "ra": rng.uniform(0, 360, count),
        "dec": rng.uniform(-85, 85, count),
    }


def refused(tmp_path: Path, rows: Rows, **more: Any) -> str:
    """Why a build is refused; it leaves nothing behind."""
    source = tmp_path / "rows.parquet"
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(rows), source)
    store = CatalogStore(tmp_path / "store")
    description = describe(source, **more)
    store.add(description)
    with pytest.raises(CatalogError) as error:
        build(store, description)
    assert store.versions("made") == []
    assert store.current("made") is None
    left = {path.name for path in (tmp_path / "store" / "made").iterdir()}
    assert left == {"description.json", ".lock"}
    return str(error.value)


def test_a_missing_column_is_named_and_so_are_those_that_are_there(tmp_path: Path) -> None:
    message = refused(tmp_path, plain(), position={"ra": "RA_ICRS"})
    assert "no column RA_ICRS; it has dec, id, ra" in message
    assert "no column mag" in refused(tmp_path, plain(), catalog={"columns": ("mag",)})


def test_radians_for_degrees_are_told(tmp_path: Path) -> None:
    rows = plain()
    rows |= {"ra": np.radians(rows["ra"]), "dec": np.radians(rows["dec"])}
    assert "are they radians?" in refused(tmp_path, rows)


def test_hours_for_degrees_are_told(tmp_path: Path) -> None:
    rows = plain()
    assert "hourangle" in refused(tmp_path, rows | {"ra": rows["ra"] / 15})


def test_degrees_for_hours_and_radians_are_told(tmp_path: Path) -> None:
    message = refused(tmp_path, plain(), position={"ra_unit": "hourangle"})
    assert "ra: in hourangle" in message
    assert "a declination ends at 90" in refused(tmp_path, plain(), position={"dec_unit": "rad"})


def test_a_unit_that_the_file_contradicts_is_told(tmp_path: Path) -> None:
    table = Table(plain())
    table["ra"].unit = units.rad
    table["dec"].unit = units.deg
    table.write(tmp_path / "rows.fits")
    with pytest.raises(CatalogError, match="ra: the file says rad, the description deg"):
        make(tmp_path / "store", describe(tmp_path / "rows.fits"))


def test_a_motion_that_no_star_has_is_told(tmp_path: Path) -> None:
    rows = plain() | {"pmra": np.full(50, 30.0), "pmdec": np.zeros(50)}
    motion = {"ra": "pmra", "dec": "pmdec", "unit": "arcsec/yr"}
    assert "no star is as fast" in refused(tmp_path, rows, proper_motion=motion)


def test_units_that_are_unlikely_but_right_can_be_accepted(tmp_path: Path) -> None:
    ra, dec = np.random.default_rng(1).uniform(0, 6.2, 100), np.linspace(-1.5, 1.5, 100)
    catalogs = made(tmp_path, ra, dec, checks={"unlikely_units": "accept"})
    assert catalogs.current("made").rows == 100


def test_units_are_turned_into_degrees(tmp_path: Path) -> None:
    rows = plain()
    places = alerts(rows["ra"], rows["dec"])
    rows |= {"ra": rows["ra"] / 15, "dec": np.radians(rows["dec"])}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    in_hours = {"ra_unit": "hourangle", "dec_unit": "rad"}
    make(tmp_path, describe(tmp_path / "rows.parquet", position=in_hours))
    answer = match(places, Catalogs(tmp_path, 1_000_000).current("made"))
    assert [row["id"] for row in answer["nearest"].to_pylist()] == list(range(50))


def test_missing_positions_are_counted_and_refused_or_dropped(tmp_path: Path) -> None:
    rows = plain()
    ra = rows["ra"].tolist()
    ra[3], ra[7] = None, float("nan")
    assert "2 of 50 rows have no position" in refused(tmp_path, rows | {"ra": ra})
    pq.write_table(pa.table(rows | {"ra": ra}), tmp_path / "rows.parquet")
    drop = {"null_positions": "drop"}
    built = make(tmp_path / "drop", describe(tmp_path / "rows.parquet", checks=drop))
    assert (built.rows_read, built.rows, built.dropped_null_positions) == (50, 48, 2)


@pytest.mark.parametrize("as_text", [False, True])
def test_duplicate_ids_are_counted_and_refused_or_dropped(tmp_path: Path, as_text: bool) -> None:
    rows = plain()
    rows["id"][[10, 20]] = 3
    if as_text:
        rows["id"] = [f"star {number}" for number in rows["id"]]
    with_id = {"catalog": {"id": "id"}}
    message = refused(tmp_path, rows, **with_id)
    assert "2 of 50 rows have the id of an earlier row" in message
    assert ("star 3" if as_text else "such as 3") in message
    source = tmp_path / "rows.parquet"
    drop = {"duplicate_ids": "drop"}
    built = make(tmp_path / "drop", describe(source, checks=drop, **with_id))
    assert (built.rows, built.dropped_duplicate_ids) == (48, 2)
    catalog = Catalogs(tmp_path / "drop", 1_000_000).current("made")
    answer = match(alerts(rows["ra"], rows["dec"]), catalog)
    gone = [place for place, one in enumerate(answer["status"].to_pylist()) if one == "none"]
    assert gone == [10, 20], "the first with an id stays"
    keep = {"duplicate_ids": "keep"}
    assert make(tmp_path / "keep", describe(source, checks=keep, **with_id)).rows == 50


def test_what_is_no_number_is_told(tmp_path: Path) -> None:
    rows = plain() | {"ra": ["12:30:00"] * 50}
    assert "ra: is no number" in refused(tmp_path, rows)


def test_files_that_are_not_there_or_not_what_they_seem(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="there is no such file"):
        make(tmp_path, describe(tmp_path / "none.parquet"))
    (tmp_path / "bad.parquet").write_text("hello")
    with pytest.raises(CatalogError, match="cannot be read as parquet"):
        make(tmp_path, describe(tmp_path / "bad.parquet"))
    (tmp_path / "bad.dat").write_text("hello")
    with pytest.raises(CatalogError, match=r"set source\.format"):
        make(tmp_path, describe(tmp_path / "bad.dat"))


def test_a_version_is_built_once_and_names_are_told_apart(tmp_path: Path) -> None:
    made(tmp_path, [1.0], [1.0])
    with pytest.raises(CatalogError, match="built already"):
        made(tmp_path, [1.0], [1.0])
    store = CatalogStore(tmp_path)
    made(tmp_path, [2.0], [1.0], version="2")
    assert (store.names(), store.versions("made"), store.current("made")) == (
        ["made"],
        ["1", "2"],
        "2",
    )
    with pytest.raises(CatalogError, match="is used"):
        store.remove("made", "2")
    store.remove("made", "1")
    assert store.versions("made") == ["2"]
    store.remove("made")
    assert store.names() == []
    with pytest.raises(CatalogError, match="cannot be the name"):
        store.remove("../elsewhere")


def test_two_builds_do_not_meet_and_what_was_cut_short_is_cleared(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path)
    made(tmp_path, [1.0], [1.0])
    with (
        store.building("made", "2") as draft,
        pytest.raises(CatalogError, match="another process"),
        store.building("made", "3"),
    ):
        pass
    draft.mkdir()
    (draft / "rubbish").write_text("of a build that was killed")
    made(tmp_path, [1.0], [1.0], version="2")
    assert not list(tmp_path.glob("made/building-*"))


def test_many_files_are_one_catalogue(stars: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for number in range(3):
        write_csv(stars.slice(1000 * number, 1000), tmp_path / "parts" / f"{number}.csv")
    built = make(tmp_path, describe(tmp_path / "parts" / "*.csv"))
    assert built.rows == 3000


DESCRIPTION = """
[catalog]
name = "made"
version = "2026-01"
radius_arcsec = 1.5
columns = ["kind"]

[source]
path = "rows.parquet"

[position]
ra = "ra"
dec = "dec"
"""


def test_a_description_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "made.toml"
    path.write_text(DESCRIPTION)
    description = read_description(path)
    assert description.source.path == str(tmp_path / "rows.parquet")
    assert Description.model_validate(json.loads(description.to_json())) == description
    for wrong, expected in [
        ('ra = "ra"', r"\[position\] expected ra, which is missing"),
        ('name = "made"', r"\[catalog\] expected name"),
        ("radius_arcsec = 1.5", r"\[catalog\] expected radius_arcsec"),
    ]:
        path.write_text(DESCRIPTION.replace(wrong, ""))
        with pytest.raises(SettingsError, match=expected):
            read_description(path)
    for old, new, expected in [
        ("radius_arcsec", "radius_arcsecs", "did you mean catalog.radius_arcsec"),
        ("1.5", "-1", "greater than 0"),
        ('"made"', '"Made Up"', "small letters"),
        ('dec = "dec"', 'dec = "dec"\nra_unit = "parsec"', "an angle, such as deg"),
        ('["kind"]', '["ra_deg"]', "have columns of this name already"),
    ]:
        path.write_text(DESCRIPTION.replace(old, new))
        with pytest.raises(SettingsError, match=expected):
            read_description(path)
