"""VOTable: the frame of its positions, which must be that of the description."""

from pathlib import Path

import pytest

from tests.support.made_catalogs import refusal, rows_of
from tests.support.votables import FIELDS, OK, document, table, write


@pytest.mark.parametrize(
    ("coosys", "reference", "told"),
    [
        ('<COOSYS ID="s" system="eq_FK4" equinox="B1950"/>', 'ref="s"', "eq_FK4"),
        ('<COOSYS ID="s" system="galactic"/>', 'ref="s"', "galactic"),
        ('<COOSYS ID="s" system="ecl_FK5" equinox="J2000"/>', "", "ecl_FK5"),
        ('<COOSYS ID="s" system="FK5" equinox="B1950"/>', 'ref="s"', "equinox B1950"),
        ('<COOSYS ID="s" system="FK5" equinox="J1991.25"/>', "", "equinox J1991.25"),
        ('<COOSYS ID="s" system="ICRS" epoch="J2016.0"/>', 'ref="s"', "epoch J2016.0"),
        ('<COOSYS ID="s" system="ICRS" epoch="2016.0"/>', 'ref="s"', "epoch 2016.0"),
        ('<COOSYS ID="s" system="ICRS" epoch="57388.5"/>', 'ref="s"', "epoch 57388.5"),
        ('<COOSYS ID="s" system="ICRS" epoch="JD 2457389.0"/>', 'ref="s"', "epoch JD"),
        ('<COOSYS ID="s" system="ICRS" epoch="whenever"/>', 'ref="s"', "epoch whenever"),
        ('<COOSYS ID="s" system="helioprojective"/>', 'ref="s"', "helioprojective"),
    ],
)
def test_a_coosys_that_contradicts_the_description_is_refused(
    tmp_path: Path, coosys: str, reference: str, told: str
) -> None:
    fields = FIELDS.replace('name="ra"', f'name="ra" {reference}')
    path = write(tmp_path, document(table(fields), before=OK + coosys))
    message = refusal(path)
    assert f"ra: the file says {told}" in message
    assert "the description" in message
    late = write(tmp_path, document(table(fields), coosys))
    assert f"ra: the file says {told}" in refusal(late)
    assert len(rows_of(path, checks={"declarations": "ignore"})) == 3


@pytest.mark.parametrize(
    ("coosys", "epoch"),
    [
        ('<COOSYS ID="s" system="ICRS"/>', 2000.0),
        ('<COOSYS ID="s" system="eq_FK5" equinox="J2000"/>', 2000.0),
        ('<COOSYS ID="s" system="FK5" equinox="2000.0"/>', 2000.0),
        ('<COOSYS ID="s" system="ICRS" epoch="J2016.0"/>', 2016.0),
        ('<COOSYS ID="s" system="ICRS" epoch="57388.5"/>', 2016.0),
        ('<COOSYS ID="s" system="ICRS" epoch="BJD2457389.0"/>', 2016.0),
        ('<COOSYS ID="s" system="ICRS" epoch="2016-01-01T12:00:00"/>', 2016.0),
    ],
)
def test_a_coosys_that_agrees_is_accepted(tmp_path: Path, coosys: str, epoch: float) -> None:
    path = write(tmp_path, document(table(), before=OK + coosys))
    assert len(rows_of(path, position={"epoch_year": epoch})) == 3


def test_a_column_is_compared_with_the_coosys_that_it_refers_to(tmp_path: Path) -> None:
    both = '<COOSYS ID="new" system="ICRS"/><COOSYS ID="old" system="eq_FK4" equinox="B1950"/>'
    fields = FIELDS.replace('name="ra"', 'name="ra" ref="new"').replace(
        'name="dec"', 'name="dec" ref="new"'
    )
    assert len(rows_of(write(tmp_path, document(table(fields), before=both)))) == 3
    assert "eq_FK4" in refusal(write(tmp_path, document(table(), before=both)))
    grouped = FIELDS.replace('name="ra"', 'ID="c1" name="ra"').replace(
        'name="dec"', 'ID="c2" name="dec"'
    )
    group = '<GROUP ref="old"><FIELDref ref="c1"/><FIELDref ref="c2"/></GROUP>'
    assert "eq_FK4" in refusal(write(tmp_path, document(table(grouped + group), before=both)))


STC_PARAM = '<PARAM name="p" datatype="char" arraysize="*" utype="stc:{}" value="{}"/>'
STC_FRAME = "AstroCoordSystem.SpaceFrame.CoordRefFrame"
STC_COLUMNS = '<FIELDref ref="c1"/><FIELDref ref="c2"/>'


def stc_group(*params: tuple[str, str], ident: str = "", columns: str = STC_COLUMNS) -> str:
    inside = "".join(STC_PARAM.format(utype, value) for utype, value in params)
    return f'<GROUP utype="stc:CatalogEntryLocation" {ident}>{inside}{columns}</GROUP>'


def stc_xml(frame: str) -> str:
    return (
        '<stc:AstroCoordSystem xmlns:stc="http://www.ivoa.net/xml/STC/stc-v1.30.xsd" ID="s">'
        f"<stc:SpaceFrame><stc:Name>Equatorial</stc:Name>{frame}<stc:BARYCENTER/>"
        "</stc:SpaceFrame></stc:AstroCoordSystem>"
    )


def mivot(role: str, value: str) -> str:
    return f'<VODML><TEMPLATES><ATTRIBUTE dmrole="{role}" value="{value}"/></TEMPLATES></VODML>'


@pytest.mark.parametrize(
    ("group", "before", "told"),
    [
        (stc_group((STC_FRAME, "FK4")), "", "the file says FK4 (CoordRefFrame)"),
        (
            stc_group((STC_FRAME, "FK5"), (f"{STC_FRAME}.Equinox", "B1950")),
            "",
            "the file says equinox B1950",
        ),
        (
            stc_group(
                ("AstroCoords.Position2D.Epoch", "2016.0"),
                ("AstroCoords.Position2D.Epoch.yearDef", "J"),
            ),
            "",
            "the file says epoch J2016.0",
        ),
        (
            stc_group(
                ("AstroCoords.Position2D.Epoch.yearDef", "B"),
                ("AstroCoords.Position2D.Epoch", "1950.0"),
            ),
            "",
            "the file says epoch B1950.0",
        ),
        (
            f"<GROUP>{stc_group((STC_FRAME, 'GALACTIC_II'), columns='')}{STC_COLUMNS}</GROUP>",
            "",
            "the file says GALACTIC_II",
        ),
        (
            "",
            stc_group((STC_FRAME, "FK4"), ident='ID="s"', columns=""),
            "the file says FK4 (CoordRefFrame)",
        ),
        ("", stc_group((STC_FRAME, "ECLIPTIC"), columns=""), "the file says ECLIPTIC"),
        (
            "",
            stc_xml("<stc:FK4><stc:Equinox>B1950</stc:Equinox></stc:FK4>"),
            "the file says FK4 (STC FK4)",
        ),
        (
            "",
            stc_xml("<stc:FK5><stc:Equinox>J1991.25</stc:Equinox></stc:FK5>"),
            "the file says equinox J1991.25",
        ),
        ("", stc_xml("<stc:GALACTIC_II/>"), "the file says GALACTIC_II (STC GALACTIC_II)"),
        ("", mivot("coords:SpaceFrame.spaceRefFrame", "FK4"), "the file says FK4 (MIVOT"),
        ("", mivot("coords:SpaceFrame.equinox", "B1950"), "the file says equinox B1950 (MIVOT"),
    ],
)
def test_a_frame_in_any_form_that_contradicts_the_description_is_refused(
    tmp_path: Path, group: str, before: str, told: str
) -> None:
    """STC's utypes (IVOA's note of 2010), STC's own elements before that, MIVOT since."""
    fields = FIELDS.replace('name="ra"', 'ID="c1" ref="s" name="ra"').replace(
        'name="dec"', 'ID="c2" ref="s" name="dec"'
    )
    path = write(tmp_path, document(table(group + fields), before=OK + before))
    assert told in refusal(path)
    assert len(rows_of(path, checks={"declarations": "ignore"})) == 3


@pytest.mark.parametrize(
    "before",
    [
        stc_group((STC_FRAME, "ICRS"), columns=""),
        stc_group((STC_FRAME, "FK5"), (f"{STC_FRAME}.Equinox", "J2000.0"), columns=""),
        stc_group(("AstroCoords.Position2D.Epoch", "2000.0"), columns=""),
        stc_xml("<stc:ICRS/>"),
        stc_xml("<stc:FK5><stc:Equinox>J2000</stc:Equinox></stc:FK5>"),
        mivot("coords:SpaceFrame.spaceRefFrame", "ICRS"),
        '<GROUP ID="g"><PARAM name="p" datatype="int" value="3"/></GROUP>',
    ],
)
def test_a_frame_in_any_form_that_agrees_is_accepted(tmp_path: Path, before: str) -> None:
    assert len(rows_of(write(tmp_path, document(table(), before=OK + before)))) == 3


def test_a_group_of_other_columns_says_nothing_of_these(tmp_path: Path) -> None:
    other = '<FIELD ID="c1" name="ra4" datatype="double"/><FIELD ID="c2" name="d4" datatype="int"/>'
    data = "<TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>1</TD><TD>9</TD><TD>9</TD></TR></TABLEDATA>"
    fields = stc_group((STC_FRAME, "FK4")) + FIELDS + other
    assert len(rows_of(write(tmp_path, document(table(fields, data))))) == 1
