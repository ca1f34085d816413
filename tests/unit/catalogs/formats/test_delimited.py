"""CSV and its relatives: no digit is lost, no line is taken for another."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from finkray.errors import CatalogError
from tests.support.made_catalogs import describe, make, refusal, rows_of, values_of


def csv(tmp_path: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def with_values(tmp_path: Path, values: list[str], name: str = "rows.csv") -> Path:
    rows = "".join(f"{number},{10 + number},5,{value}\n" for number, value in enumerate(values))
    return csv(tmp_path, "id,ra,dec,x\n" + rows, name)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1", "-2", ""], [1, -2, None]),
        (["13263120093069508609", "1"], [13263120093069508609, 1]),
        (["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
        (["13263120093069508609", "-1"], ["13263120093069508609", "-1"]),
        (["36893488147419103232", "1"], ["36893488147419103232", "1"]),
        (["007", "12"], ["007", "12"]),
        (["1.5", "2"], [1.5, 2.0]),
        (["1.5", "12345678901234567"], ["1.5", "12345678901234567"]),
        (["1e5", "-.5"], [1e5, -0.5]),
        (["+1.5", "2"], [1.5, 2.0]),
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
        (["true", "false"], ["true", "false"]),
        (["RR*", "NaN"], ["RR*", None]),
        (["RR*", '"NA"'], ["RR*", "NA"]),
        (["1.5", '"null"'], [1.5, None]),
        (["NaN", "nan"], [None, None]),
        (['" a "', '"  "'], ["a", None]),
        (['"a,b"', '"c\nd"'], ["a,b", "c\nd"]),
    ],
)
def test_values_keep_every_digit_and_letter(
    tmp_path: Path, values: list[str], read: list[Any]
) -> None:
    assert values_of(with_values(tmp_path, values), "x") == read


def test_a_column_is_decided_by_the_whole_file_not_by_its_first_block(tmp_path: Path) -> None:
    values = [str(number) for number in range(300_000)]
    path = with_values(tmp_path, [*values, "A7"])
    rows = values_of(path, "x", position={"ra": "dec", "dec": "dec"})
    assert rows == [*values, "A7"]


def test_ids_with_leading_zeros_are_texts(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,ra,dec\n007,1,1\n7,2,2\n")
    assert [row["id"] for row in rows_of(path, catalog={"id": "id"})] == ["007", "7"]


@pytest.mark.parametrize("ids", [["1E5", "2E10"], ["1.50", "2.5"], ["-0", "1"], ["+1", "2"]])
def test_ids_that_only_look_like_numbers_stay_texts(tmp_path: Path, ids: list[str]) -> None:
    path = csv(tmp_path, f"id,ra,dec\n{ids[0]},1,1\n{ids[1]},2,2\n")
    assert [row["id"] for row in rows_of(path, catalog={"id": "id"})] == ids


def test_signs_and_blanks_of_positions_are_read(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,ra,dec\n1, 010.5 ,+05.25\n2,20,-5\n")
    rows = rows_of(path)
    assert [float(row["ra"]) for row in rows] == [10.5, 20.0]
    assert [float(row["dec"]) for row in rows] == [5.25, -5.0]


VIZIER = """#
#   VizieR Astronomical Server vizier.cds.unistra.fr
#INFO\tversion=7.33.3
#Coosys\tJ2000:\teq_FK5 J2000
#Coosys\tB1950:\teq_FK4 B1950
#RESOURCE=yCat_1
#Column\t_RAJ2000\t(F8.4)\tRight ascension (FK5, Equinox=J2000.0)\t[ucd=pos.eq.ra]
#Column\t_DEJ2000\t(F8.4)\tDeclination (FK5, Equinox=J2000.0)\t[ucd=pos.eq.dec]
#Column\tRAB1950\t(F8.4)\tRight ascension (FK4, Equinox=B1950.0)\t[ucd=pos.eq.ra]
#Column\tGLAT\t(F8.4)\tLatitude\t[ucd=pos.galactic.lat]
#Column\tName\t(A9)\tName\t[ucd=meta.id]

_RAJ2000\t_DEJ2000\tRAB1950\tGLAT\tName\tVmag
deg\tdeg\tdeg\tdeg\t \tmag
--------\t--------\t--------\t--------\t---------\t------
010.5000\t+05.2500\t010.0000\t10.0000\tR And    \t 07.39
020.5000\t-05.2500\t020.0000\t10.0000\t         \t\x20
#END#
"""
AT = {"ra": "_RAJ2000", "dec": "_DEJ2000"}


def test_the_tsv_of_vizier_is_read(tmp_path: Path) -> None:
    path = csv(tmp_path, VIZIER, "vizier.tsv")
    rows = rows_of(path, ("Name", "Vmag"), position=AT)
    assert [row["Name"] for row in rows] == ["R And", None]
    assert [row["Vmag"] for row in rows] == ["07.39", None]
    assert [float(row["_DEJ2000"]) for row in rows] == [5.25, -5.25]


def test_the_units_and_frames_of_vizier_are_heard(tmp_path: Path) -> None:
    path = csv(tmp_path, VIZIER, "vizier.tsv")
    hours = {**AT, "ra_unit": "h"}
    assert "_RAJ2000: the file says deg, the description h" in refusal(path, (), position=hours)
    old = {"ra": "RAB1950", "dec": "_DEJ2000"}
    assert "the file says FK4" in refusal(path, (), position=old)
    galactic = {"ra": "_RAJ2000", "dec": "GLAT"}
    assert "pos.galactic.lat" in refusal(path, (), position=galactic)


def test_an_answer_of_vizier_that_is_truncated_is_refused(tmp_path: Path) -> None:
    for line in ("#INFO\tQUERY_STATUS=OVERFLOW", "#INFO\ttruncated result (maxtup=50)"):
        head = csv(tmp_path, VIZIER.replace("#RESOURCE", f"{line}\n#RESOURCE"), "head.tsv")
        assert "is not whole" in refusal(head, (), position=AT)
        tail = csv(tmp_path, VIZIER.replace("#END#", line), "tail.tsv")
        assert "is not whole" in refusal(tail, (), position=AT)


def test_a_second_table_of_vizier_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, VIZIER.replace("#END#", "\n#RESOURCE=2\n" + VIZIER), "two.tsv")
    with pytest.raises(CatalogError, match="_RAJ2000: is no number"):
        make(tmp_path / "store", describe(path, catalog={"columns": ()}, position=AT))


def test_the_title_of_tns_is_no_header(tmp_path: Path) -> None:
    text = '"2026-11-24 00:00:00 - 23:59:59"\n"objid","name","ra","declination"\n'
    path = csv(tmp_path, text + '"1","2026abc","10.5","-3.25"\n"2","","11","4"\n')
    rows = rows_of(path, ("objid", "name"), position={"dec": "declination"})
    assert [row["name"] for row in rows] == ["2026abc", None]
    assert [row["objid"] for row in rows] == [1, 2]


def test_comments_before_the_header_are_left_out_and_only_there(tmp_path: Path) -> None:
    path = csv(tmp_path, "# made by hand\n#\nid,ra,dec\n1,10,5\n")
    assert len(rows_of(path)) == 1
    rows = rows_of(csv(tmp_path, "id,ra,dec\n#1,10,5\n#2,11,5\n"))
    assert [row["id"] for row in rows] == ["#1", "#2"]
    mixed = csv(tmp_path, "# by hand\nid,ra,dec\n1,10,5\n#2,11,5\n")
    assert "may be a comment or a row" in refusal(mixed)


def test_what_helps_is_said_where_the_names_are_not_found(tmp_path: Path) -> None:
    commented = refusal(csv(tmp_path, "# id,ra,dec\n1,10,5\n"))
    assert "take the # away" in commented
    assert 'source.delimiter = ";"' in refusal(csv(tmp_path, "id;ra;dec\n1;10;5\n"))
    assert r'source.delimiter = "\t"' in refusal(csv(tmp_path, "id\tra\tdec\n1\t10\t5\n"))
    assert "the names must come first" in refusal(csv(tmp_path, "1,10,5\nid,ra,dec\n2,11,5\n"))
    assert "is empty" in refusal(csv(tmp_path, ""))
    assert "UTF-16" in refusal(csv(tmp_path, "id,ra,dec\n1,10,5\n".encode("utf-16")))


def test_marks_and_encodings_are_read(tmp_path: Path) -> None:
    text = "id,ra,dec,x\n1,10,5,Hï\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        assert values_of(csv(tmp_path, text.encode(encoding)), "x") == ["Hï"]
    late = "id,ra,dec,x\n" + "1,10,5,a\n" * 200_000 + "1,10,5,é\n"
    assert values_of(csv(tmp_path, late.encode("latin-1")), "x")[-1] == "é"
    windows = csv(tmp_path, text.replace("\n", "\r\n"))
    assert values_of(windows, "x") == ["Hï"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_compressed_file_is_read_and_a_cut_one_refused(tmp_path: Path, pack: Any) -> None:
    text = "id,ra,dec\n" + "".join(f"{n},{n % 360}.123,{n % 89}.77\n" for n in range(20_000))
    packed = pack(text.encode())
    assert len(rows_of(csv(tmp_path, packed, "rows.csv.gz"))) == 20_000
    for cut in (len(packed) - 1, len(packed) - 9, len(packed) // 2):
        assert "cut short or damaged" in refusal(csv(tmp_path, packed[:cut], "rows.csv.gz"))
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    refusal(csv(tmp_path, bytes(damaged), "rows.csv.gz"))


def test_a_row_with_too_few_or_too_many_values_is_refused(tmp_path: Path) -> None:
    refusal(csv(tmp_path, "id,ra,dec\n1,10,5\n2,11"))
    refusal(csv(tmp_path, "id,ra,dec\n1,10,5\n2,11,5,6\n"))
    refusal(csv(tmp_path, 'id,ra,dec\n1,10,5\n"2,11,5\n'))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "2 columns of the name x" in refusal(csv(tmp_path, "id,ra,dec,x,x\n1,2,3,4,5\n"), ("x",))
    assert "2 columns of the name ra" in refusal(csv(tmp_path, "id,ra,dec,RA\n1,2,3,4\n"))
    # Lower and upper error of VizieR's tables.
    path = csv(tmp_path, "id,ra,dec,e_D,E_D\n1,2,3,4,5\n")
    assert rows_of(path, ("e_D", "E_D"))[0]["E_D"] == 5


def test_the_units_of_ecsv_are_heard(tmp_path: Path) -> None:
    table = Table({"id": [1, 2], "ra": [10.0, 11.0], "dec": [5.0, 6.0], "name": ["a b", "c"]})
    table["ra"].unit = table["dec"].unit = "deg"
    for delimiter in (" ", ","):
        path = tmp_path / "rows.ecsv"
        table.write(path, delimiter=delimiter, overwrite=True)
        rows = rows_of(path, ("name",))
        assert [row["name"] for row in rows] == ["a b", "c"]
        assert "the file says deg" in refusal(path, position={"ra_unit": "rad"})


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**70), 2**70).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
        ),
        max_size=8,
    )
)
def test_any_value_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    """What is read, written as text, is what was written; or the same number."""
    from catalogs.columns import NULL_WORDS

    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    quoted = ['"' + value.replace('"', '""') + '"' for value in values]
    rows = [f"{number},10,5,{value}\n" for number, value in enumerate(quoted)]
    path.write_text("id,ra,dec,x\n" + "".join(rows), encoding="utf-8")
    for written, read in zip(values, values_of(path, "x"), strict=True):
        bare = written.strip(" \t")
        if isinstance(read, str):
            assert read == bare
        elif read is None:
            assert bare in NULL_WORDS
        else:
            assert type(read)(bare) == read
            assert isinstance(read, float) or int(bare) == read
