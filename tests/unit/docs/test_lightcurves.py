"""docs/lightcurves.md and the README's light curve are true, on the first alerts of the demo."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.image import imread

from finkray.curves.magnitudes import STATUSES
from finkray.curves.schema import POINT
from jobs.commands.curve_picture import draw_curve
from jobs.commands.public_curve import PICTURE, public_curve
from sim.ztf.alerts import ZtfMaker
from tests.support import docs_pages
from tests.support.real_archives import RealArchive

PAGE = docs_pages.CHECKOUT / "docs" / "lightcurves.md"
Follow = Callable[[str], str]


@pytest.fixture(scope="module")
def follow(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Follow:
    """Run a command in a folder with an archive of the first alerts that `make demo` plays."""
    folder = tmp_path_factory.mktemp("demo")
    packets = [alert.packet for alert in itertools.islice(ZtfMaker(seed=1).alerts(), 600)]
    RealArchive(folder / "archive", test_data).put("ztf_demo", packets)
    return docs_pages.follower(PAGE, folder)


def test_who_follows_the_page_sees_a_light_curve(follow: Follow) -> None:
    cone, curve, as_csv, as_picture, alerts, _ = docs_pages.commands(PAGE, live=False)
    assert "ZTF18qgkqsxu" in follow(cone)
    shown = follow(curve)
    assert " detection" in shown
    assert follow(f"{as_csv}; wc -l < curve.csv").strip() > "1"
    assert "curve.png shows " in follow(as_picture)
    assert re.search(r"durable +in the archive +20\d\d-", follow(alerts))
    (sexagesimal,) = re.findall(r"`(01:21:\S+ -15:\S+)`", PAGE.read_text())
    (found,) = json.loads(follow(f"finkray cone {sexagesimal} 3 --json"))
    assert found["object_id"] == "ZTF18qgkqsxu"
    printed = follow("python first_curve.py")
    assert re.search(r"ZTF18qgkqsxu \d\d points", printed)
    assert "2 objects" in printed


def test_the_readme_leads_from_the_demo_to_a_light_curve(follow: Follow) -> None:
    lines = [
        line.partition("#")[0].strip()
        for block in docs_pages.blocks("sh", docs_pages.CHECKOUT / "README.md")
        for line in block.splitlines()
        if line.startswith(".venv/bin/finkray ")
    ]
    cone, curve = (line.removeprefix(".venv/bin/") for line in lines)
    assert curve.split()[2] in follow(cone)
    shown = follow(curve)
    assert "points: " in shown
    assert "curve.png shows " in shown


def test_the_curve_in_the_picture_is_what_the_page_says(test_data: Path, tmp_path: Path) -> None:
    curve, raw = public_curve(test_data)
    in_histories_alone = curve.num_rows - curve["own_alert"].to_pylist().count(True)
    text = " ".join(PAGE.read_text().split())
    said = f"they have {raw} points, which are {curve.num_rows} measurements; {in_histories_alone}"
    assert f"{said} of these were never an alert" in text
    assert f"]({PICTURE.name})" in text
    again = tmp_path / PICTURE.name
    assert draw_curve(curve, "ZTF20abfcszi", again, dpi=72) == curve.num_rows
    drawn, committed = (imread(path) for path in (again, PICTURE))
    assert drawn.shape == committed.shape
    assert abs(drawn - committed).mean() < 0.02  # fonts differ between versions of matplotlib


def test_the_page_has_every_column_and_status() -> None:
    text = PAGE.read_text()
    rows = re.findall(r"^\| (`.*?`) \| ", text, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(named) == {*POINT.names, *STATUSES}
