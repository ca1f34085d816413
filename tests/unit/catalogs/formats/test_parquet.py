"""Parquet and HATS: which files count, what their types become, what their metadata say."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from catalogs.build import build
from catalogs.store import CatalogStore
from finkray.errors import CatalogError
from tests.support.made_catalogs import describe, make, rows_of, values_of


def part(path: Path, **columns: Any) -> Path:
    """A file of three sources, with more columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"id": [1, 2, 3], "ra": [10.0, 11.0, 12.0], "dec": [5.0, 5.0, 5.0]}
    pq.write_table(pa.table({**place, **columns}), path)
    return path


def refused(path: Path, columns: tuple[str, ...] = ("id",), **more: Any) -> str:
    with pytest.raises(CatalogError) as error:
        rows_of(path, columns, **more)
    return str(error.value)


@pytest.mark.parametrize("pattern", ["", "*", "part-*"])
def test_hidden_files_checksums_and_metadata_are_left_out(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "spark"
    for number in range(2):
        name = f"part-{number:05d}-c000.snappy.parquet"
        part(folder / name)
        (folder / f".{name}.crc").write_bytes(b"crc\0\0\0\2\0")
        (folder / f"{name}.crc").write_bytes(b"crc\0\0\0\2\0")
    for name in ("_SUCCESS", "._SUCCESS.crc", ".part-00002-c000.snappy.parquet.swp"):
        (folder / name).write_bytes(b"")
    part(folder / "_old" / "part-00009.parquet")
    for name in ("_metadata", "_common_metadata"):
        pq.write_metadata(pq.read_schema(folder / "part-00000-c000.snappy.parquet"), folder / name)
    path = folder / pattern if pattern else folder
    assert len(rows_of(path)) == 6


def test_parts_in_folders_and_without_a_suffix_count(tmp_path: Path) -> None:
    part(tmp_path / "all" / "year=2025" / "a.parquet")
    part(tmp_path / "all" / "part-r-00000")
    (tmp_path / "all" / "README").write_text("about")
    assert len(rows_of(tmp_path / "all")) == 6


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("_delta_log", "a Delta table"),
        ("_temporary", "a Spark job that has not ended"),
        ("_spark_metadata", "a Spark stream"),
        ("metadata", "an Iceberg table"),
    ],
)
def test_a_table_whose_log_says_which_files_count_is_refused(
    tmp_path: Path, log: str, told: str
) -> None:
    part(tmp_path / "all" / "a.parquet")
    (tmp_path / "all" / log).mkdir()
    (tmp_path / "all" / log / "v1.metadata.json").write_text("{}")
    assert told in refused(tmp_path / "all")


@pytest.mark.parametrize("size", [0, 3, 200, -1])
def test_a_file_that_is_cut_short_is_refused_and_named(tmp_path: Path, size: int) -> None:
    part(tmp_path / "all" / "a.parquet")
    cut = part(tmp_path / "all" / "b.parquet")
    cut.write_bytes(cut.read_bytes()[:size])
    assert str(cut) in refused(tmp_path / "all")


def test_a_part_without_a_column_is_refused_and_named(tmp_path: Path) -> None:
    part(tmp_path / "all" / "a.parquet", x=[1, 2, 3])
    other = part(tmp_path / "all" / "b.parquet")
    assert f"{other}: has no column x" in refused(tmp_path / "all", ("x",))


def decimals(*texts: str | None) -> pa.Array:
    from decimal import Decimal

    return pa.array([None if text is None else Decimal(text) for text in texts])


@pytest.mark.parametrize(
    ("one", "other", "read"),
    [
        (pa.nulls(3), pa.array([1, 2, 3]), [None] * 3 + [1, 2, 3]),
        (pa.nulls(3), pa.array(["a", "b", None]), [None] * 3 + ["a", "b", None]),
        (pa.array([1, 2, 3], pa.int16()), pa.array([1, 2, 2**40]), [1, 2, 3, 1, 2, 2**40]),
        (pa.array([1, 2, -3]), pa.array([1, 2, 2**63], pa.uint64()),
         ["1", "2", "-3", "1", "2", str(2**63)]),
        (pa.array([1, 2, -3], pa.int8()), pa.array([1, 2, 2**32 - 1], pa.uint32()),
         [1, 2, -3, 1, 2, 2**32 - 1]),
        (pa.array([1, 2, 3]), pa.array([1.5, 2.5, None]), [1.0, 2.0, 3.0, 1.5, 2.5, None]),
        (pa.array([1, 2, 3]), pa.array(["a", "b", "c"]), ["1", "2", "3", "a", "b", "c"]),
        (pa.array([1.5, 2.5, 3.5]), pa.array(["a", "b", "c"]),
         ["1.5", "2.5", "3.5", "a", "b", "c"]),
        (pa.array([1, 2, 3]), pa.array([[1], [2], []]), ["1", "2", "3", "[1]", "[2]", "[]"]),
        (pa.array([True, False, None]), pa.array([1, 2, 3]),
         ["true", "false", None, "1", "2", "3"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True])
def test_parts_with_other_types_are_united(
    tmp_path: Path, one: pa.Array, other: pa.Array, read: list[Any], swapped: bool
) -> None:
    names = ("b", "a") if swapped else ("a", "b")
    for name, values in zip(names, (one, other), strict=True):
        part(tmp_path / "all" / f"{name}.parquet", x=values)
    expected = read[3:] + read[:3] if swapped else read
    assert values_of(tmp_path / "all", "x") == expected


def test_an_integer_and_a_decimal_are_united_without_a_loss(tmp_path: Path) -> None:
    part(tmp_path / "all" / "a.parquet", x=pa.array([1, 2, 2**53 + 1]))
    part(tmp_path / "all" / "b.parquet", x=decimals("1.25", None, "3.50"))
    read = values_of(tmp_path / "all", "x")
    assert [None if value is None else str(value).rstrip("0").rstrip(".") for value in read] == [
        "1", "2", str(2**53 + 1), "1.25", None, "3.5",
    ]  # fmt: skip


def test_an_integer_that_no_double_holds_is_not_united_with_fractions(tmp_path: Path) -> None:
    part(tmp_path / "all" / "a.parquet", x=pa.array([1, 2, 2**53 + 1]))
    part(tmp_path / "all" / "b.parquet", x=[1.5, 2.5, 3.5])
    message = refused(tmp_path / "all", ("x",))
    assert "column x" in message
    assert "a.parquet" in message


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table([[1], [10.0], [5.0], [7.0]], names=["id", "ra", "dec", "ra"])
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    assert "2 columns of the name ra: ra, ra" in refused(path)


@pytest.mark.parametrize("key", [b"unit", b"units"])
def test_units_of_fields_are_heard(tmp_path: Path, key: bytes) -> None:
    field = pa.field("ra", pa.float64(), metadata={key: b"rad"})
    schema = pa.schema([("id", pa.int64()), field, ("dec", pa.float64())])
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([[1], [1.0], [0.5]], schema=schema), path)
    assert "ra: the file says rad, the description deg" in refused(path)
    assert len(rows_of(path, position={"ra_unit": "radians"})) == 1


@pytest.mark.parametrize("form", ["parquet", "parquet.votable"])
def test_units_that_astropy_writes_are_heard(tmp_path: Path, form: str) -> None:
    table = Table({"id": [1], "ra": [1.0], "dec": [0.5]})
    table["ra"].unit = "rad"
    path = tmp_path / "rows.parquet"
    more: dict[str, Any] = {}
    if form == "parquet.votable":
        more["metadata"] = {
            name: {"unit": "rad" if name == "ra" else "", "ucd": "", "description": "", "utype": ""}
            for name in table.colnames
        }
    table.write(path, format=form, **more)
    assert "ra: the file says rad, the description deg" in refused(path)


@pytest.fixture
def hats(tmp_path: Path) -> Path:
    """A HATS collection of a few hundred sources."""
    source = tmp_path / "source.parquet"
    count = 500
    rng = np.random.default_rng(3)
    place = {"ra": rng.uniform(0, 360, count), "dec": rng.uniform(-80, 80, count)}
    pq.write_table(pa.table({"id": np.arange(count), **place}), source)
    columns = {"columns": ("id", "ra", "dec"), "shard_rows": 60}
    store = CatalogStore(tmp_path / "origin")
    description = describe(source, catalog=columns)
    store.add(description)
    build(store, description)
    return store.version_folder("made", "1")


def test_a_hats_catalogue_is_read_whole_or_refused(tmp_path: Path, hats: Path) -> None:
    assert make(tmp_path / "one", describe(hats)).rows == 500
    assert make(tmp_path / "two", describe(hats / "main")).rows == 500
    assert "is a HATS margin" in refused(hats / "margin")
    leaves = sorted((hats / "main").rglob("Npix=*.parquet"))
    leaf = pq.read_table(leaves[0], partitioning=None)
    pq.write_table(leaf.slice(1), leaves[0])
    message = refused(hats)
    assert "499 rows, its properties say 500" in message
    leaves[0].unlink()
    assert str(hats) in refused(hats)


def test_frame_and_epoch_of_hats_are_heard(hats: Path) -> None:
    for line, told in (("hats_coordinate_epoch=J2016.0", "epoch J2016.0"),
                       ("hats_frame=galactic", "the file says galactic")):  # fmt: skip
        properties = hats / "main" / "hats.properties"
        before = properties.read_text()
        properties.write_text(f"{before}\n{line}\n")
        assert told in refused(hats)
        properties.write_text(before)
    assert len(rows_of(hats)) == 500


def test_a_changed_bit_is_refused_where_the_pages_have_checksums(tmp_path: Path) -> None:
    path = part(tmp_path / "rows.parquet")
    table = pq.read_table(path)
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    at = data.index(np.float64(11.0).tobytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    assert str(path) in refused(path)


@pytest.mark.parametrize("name", ["rows.csv.zip", "rows.csv"])
def test_a_zip_archive_is_refused_with_what_helps(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04" + bytes(40))
    assert "unpack it first" in refused(path, files={"format": "csv"})


@pytest.mark.parametrize("column", ["Norder", "Npix", "a.b", "", "spill", "x" * 300])
def test_a_column_of_any_name_is_carried_or_refused(tmp_path: Path, column: str) -> None:
    """Names that HATS, Parquet or a file system keep for themselves are no reason to crash."""
    path = part(tmp_path / "rows.parquet", **{column: ["a", "b", "c"]})
    assert make(tmp_path / "store", describe(path, catalog={"columns": (column,)})).rows == 3
