"""`finkray lightcurve`, `cone` and `periodogram`: what they show and refuse."""

import csv
import io
import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.curves.schema import POINT
from finkray.ledger.read import read_entries
from finkray.storage.local import LocalStorage
from finkray.text import time_text
from jobs.commands.curves import angle_deg, radius_arcsec
from tests.support.commands import Finkray
from tests.support.curve_alerts import archive_table, ztf_alert, ztf_detection, ztf_table

TDE = "ZTF20abfcszi"


@pytest.fixture
def archive(tmp_path: Path, test_data: Path) -> Path:
    """An archive of the 21 alerts of a public TDE, without cutouts."""
    path = test_data / "ztf" / "ztf_20200802-0831_fink-filters_ZTF20abfcszi_21.parquet"
    names = ["objectId", "candid", "candidate", "prv_candidates"]
    archive_table(LocalStorage(tmp_path / "archive"), pq.read_table(path, columns=names))
    return tmp_path / "archive"


@pytest.mark.usefixtures("archive")
def test_a_light_curve_is_shown_as_text_csv_and_json(finkray: Finkray) -> None:
    text = finkray("lightcurve", TDE)
    assert text.returncode == 0, text.stderr
    assert "57 points: 57 detection" in text.stdout
    rows = list(csv.DictReader(io.StringIO(finkray("lightcurve", TDE, "--csv").stdout)))
    assert (len(rows), list(rows[0])) == (57, POINT.names)
    points = json.loads(finkray("lightcurve", TDE, "--json", "--band", "g").stdout)
    assert {point["band"] for point in points} == {"g"}
    assert len(points) == sum(row["band"] == "g" for row in rows)
    late = json.loads(finkray("lightcurve", TDE, "--json", "--start", "2020-08-20").stdout)
    assert 0 < len(late) < 57


@pytest.mark.usefixtures("archive")
def test_an_object_is_shown_with_the_way_of_its_newest_alert(
    finkray: Finkray, tmp_path: Path
) -> None:
    text = finkray("object", TDE)
    assert text.returncode == 0, text.stderr
    (entry,) = (each for each in read_entries(LocalStorage(tmp_path / "archive")) if each.claims)
    assert "alerts, the newest first (21 of 21)" in text.stdout
    durable = rf"durable +in the archive +{re.escape(time_text(entry.at))}"
    assert re.search(durable, text.stdout), text.stdout
    found = json.loads(finkray("object", TDE, "--json").stdout)
    assert {alert["durable_at"] for alert in found["alerts"]} == {entry.at.isoformat()}


def test_an_object_id_cannot_steer_the_terminal(finkray: Finkray, tmp_path: Path) -> None:
    hostile = "[/red]\x1b[2J\nZTF\u202etxt"
    storage = LocalStorage(tmp_path / "archive")
    archive_table(storage, ztf_table(ztf_alert(ztf_detection(1), object_id=hostile)))
    (found,) = json.loads(finkray("cone", "10", "20", "1deg", "--json").stdout)
    assert found["object_id"] == hostile
    shown = finkray("cone", "10", "20", "1deg")
    assert shown.returncode == 0, shown.stderr
    assert r"[/red]\x1b[2J\nZTF\u202etxt" in shown.stdout
    formula = '=HYPERLINK("http://example.org")'
    archive_table(storage, ztf_table(ztf_alert(ztf_detection(2), object_id=formula)), "formulas")
    for row in csv.DictReader(io.StringIO(finkray("cone", "10", "20", "1deg", "--csv").stdout)):
        assert row["object_id"] in (hostile, f"'{formula}")  # a spreadsheet runs neither
    assert "\x1b" not in finkray("object", hostile).stdout
    refused = finkray("lightcurve", f"{hostile}x")
    assert refused.returncode == 1
    assert "\x1b" not in refused.stderr
    assert r"\x1b[2J" in refused.stderr


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_light_curve_is_drawn(finkray: Finkray, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"curve.{ending}"
    drawn = finkray("lightcurve", TDE, "--plot", str(file))
    assert drawn.returncode == 0, drawn.stderr
    assert f"{file} shows 57 of 57 points" in drawn.stdout + drawn.stderr
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert file.read_bytes().startswith(start)
    if ending == "svg":
        groups = ET.parse(file).iter("{http://www.w3.org/2000/svg}use")
        assert sum(1 for _ in groups) >= 57  # a marker for each point


@pytest.mark.usefixtures("archive")
def test_a_light_curve_is_drawn_without_a_warning_on_a_machine_that_stalls(
    finkray: Finkray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalls = itertools.count(step=60)
    monkeypatch.setattr("matplotlib.legend.time.perf_counter", lambda: next(stalls))
    drawn = finkray("lightcurve", TDE, "--plot", str(tmp_path / "curve.png"))
    assert drawn.returncode == 0, drawn.stderr


@pytest.mark.usefixtures("archive")
def test_a_picture_that_cannot_be_written_is_refused(finkray: Finkray, tmp_path: Path) -> None:
    for file, code, message in (
        (tmp_path / "curve.doc", 2, "ends in none of .png, .pdf and .svg"),
        (tmp_path / "nowhere" / "curve.png", 2, "No such file or directory"),
    ):
        refused = finkray("lightcurve", TDE, "--plot", str(file))
        assert refused.returncode == code, refused.stderr
        assert message in " ".join(refused.stderr.split())


@pytest.mark.usefixtures("archive")
def test_what_cannot_be_shown_is_told(finkray: Finkray) -> None:
    for words, code, message in (
        (["lightcurve", "ZTF99zzzzzzz"], 1, "is of object 'ZTF99zzzzzzz'"),
        (["object", "ZTF99zzzzzzz"], 1, "is of object 'ZTF99zzzzzzz'"),
        (["lightcurve", TDE, "--band", "q"], 2, "'q' is no band"),
        (["lightcurve", TDE, "--kind", "alert"], 2, "'alert' is no kind"),
        (["lightcurve", TDE, "--start", "soon"], 2, "is no time"),
        (["lightcurve", TDE, "--csv", "--json"], 2, "not both"),
        (["cone", "400", "0", "3"], 2, "right ascension 400"),
        (["cone", "0", "-91", "3"], 2, "declination -91"),
        (["cone", "here", "0", "3"], 2, "'here' is no angle"),
        (["cone", "0", "0", "nan"], 2, "'nan' is no angle"),
        (["cone", "0", "0", "far"], 2, "'far' is no angle"),
        (["periodogram", TDE, "--band", "i"], 1, "band i has 0 usable detections"),
        (["periodogram", TDE, "--terms", "0"], 2, "cannot be searched"),
        (["periodogram", "17"], 1, "is of object '17'"),
    ):
        answer = finkray(*words)
        assert answer.returncode == code, (words, answer)
        assert message in " ".join(answer.stderr.replace("│", " ").split()), words


def test_without_an_archive_it_says_so(finkray: Finkray) -> None:
    for words in (["lightcurve", TDE], ["cone", "0", "0", "3"], ["periodogram", TDE]):
        answer = finkray(*words)
        assert answer.returncode == 2
        assert "there is no archive" in answer.stderr


@pytest.mark.usefixtures("archive")
def test_a_cone_takes_degrees_and_sexagesimal(finkray: Finkray) -> None:
    (point,) = json.loads(finkray("cone", "7.80626", "85.00885", "5", "--json").stdout)
    assert (point["object_id"], point["alerts"]) == (TDE, 21)
    for center in (("00:31:13.50", "+85:00:31.86"), ("0h31m13.50s", "85d00m31.86s")):
        answer = finkray("cone", *center, "0.1arcmin")
        assert answer.returncode == 0, answer.stderr
        assert TDE in answer.stdout
    assert finkray("cone", "7.80626", "85.00885", "5", "--csv").stdout.count("\n") == 2
    away = finkray("cone", "7.8", "-85.0", "5")
    assert (away.returncode, away.stdout) == (
        0,
        "no object has an alert in this circle: try a larger radius\n",
    )


@pytest.mark.usefixtures("archive")
def test_a_periodogram_has_three_peaks_of_each_band_with_enough_points(finkray: Finkray) -> None:
    found = json.loads(finkray("periodogram", TDE, "--json").stdout)
    assert {each["band"] for each in found} == {"g", "r"}
    assert [len(each["peaks"]) for each in found] == [3, 3]
    assert all(each["quantity"] == "apparent_mag" for each in found)
    text = finkray("periodogram", TDE, "--band", "r", "--terms", "2")
    assert text.returncode == 0, text.stderr
    assert "band r: " in text.stdout


def test_a_few_points_are_refused_by_name(tmp_path: Path, finkray: Finkray) -> None:
    table: pa.Table = ztf_table(*(ztf_alert(ztf_detection(n)) for n in range(1, 15)))
    archive_table(LocalStorage(tmp_path / "archive"), table)
    answer = finkray("periodogram", "ZTF20aaaaaaa")
    assert answer.returncode == 1
    assert "no band has 15 usable detections, which a period needs: 14 in g" in (answer.stderr)


def test_angles_are_read_in_all_their_forms() -> None:
    assert angle_deg("150.5", in_hours=True) == 150.5
    assert angle_deg("10:00:24", in_hours=True) == pytest.approx(150.1)
    assert angle_deg("10h00m24s", in_hours=True) == pytest.approx(150.1)
    assert angle_deg("150d06m", in_hours=True) == pytest.approx(150.1)
    assert angle_deg("-00:30:00", in_hours=False) == pytest.approx(-0.5)
    assert radius_arcsec("3") == 3
    assert radius_arcsec("2arcmin") == pytest.approx(120)
    assert radius_arcsec("0.1deg") == pytest.approx(360)
    for text in ("", "1:99:00", "inf", "10:00:24:11"):
        with pytest.raises(ValueError, match="no angle"):
            angle_deg(text, in_hours=True)
