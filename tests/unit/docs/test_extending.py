"""The recipes of docs/extending.md work, and each file that they or ARCHITECTURE.md name exists."""

import importlib.util
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from fastapi.testclient import TestClient

from finkray.settings.ui import UiSettings
from finkray.status.archive import Alarm
from tests.support.pages import empty_sources
from tests.support.snapshots import busy_night
from ui.app import asgi
from ui.kit.markup import table_html
from ui.kit.reading import Reading
from ui.pages import PAGES

CHECKOUT = Path(__file__).parents[3]
TEXT = (CHECKOUT / "docs" / "extending.md").read_text()


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The page's file, word by word."""
    found = re.search(r"^   ```python\n(.*?)^   ```$", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None
    path = tmp_path_factory.mktemp("page") / "alarms.py"
    path.write_text(textwrap.dedent(found.group(1)))
    spec = importlib.util.spec_from_file_location("alarms", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_page_of_the_recipe_is_served_at_its_address(module: ModuleType) -> None:
    application = asgi(UiSettings(), empty_sources(), (*PAGES, module.PAGE))
    with TestClient(application, base_url="http://127.0.0.1:5000") as client:
        answer = client.get("/alarms")
    assert answer.status_code == 200
    assert '"Alarms"' in answer.text


def test_what_the_page_of_the_recipe_shows_is_escaped(module: ModuleType) -> None:
    now = datetime.now(UTC)
    alarm = Alarm(code="STORAGE", message="<b>full</b>", since=now, what_to_do="")
    snapshot = busy_night(now).model_copy(update={"alarms": (alarm,)})
    shown = table_html(module.alarms_table(Reading(snapshot, now)))
    assert "STORAGE" in shown
    assert "&lt;b&gt;full" in shown
    assert "no alarms" in table_html(module.alarms_table(Reading(None, now)))


def named_paths() -> list[str]:
    """Return the files and folders that the pages name, but for what was there before."""
    architecture = (CHECKOUT / "ARCHITECTURE.md").read_text()
    rows = [line.split("|") for line in architecture.splitlines() if line.startswith("| ")]
    today = "".join(row[3] for row in rows if len(row) == 5 and row[2].strip() != "started by")
    places = "finkray|jobs|ui|sim|actors|catalogs|tests|conf|docs"
    found = set(re.findall(rf"`((?:{places})/[\w./]*)`", TEXT + today))
    return sorted(path for path in found if "<" not in path)


def test_the_pages_name_files() -> None:
    assert len(named_paths()) > 30


@pytest.mark.parametrize("path", named_paths())
def test_each_file_that_the_pages_name_exists(path: str) -> None:
    assert (CHECKOUT / path).exists()


def test_each_module_of_the_table_of_processes_exists() -> None:
    architecture = (CHECKOUT / "ARCHITECTURE.md").read_text()
    table = architecture.split("## Which module runs in which process")[1].split("\n## ")[0]
    names = set(re.findall(r"`((?:finkray|jobs)\.[\w.]+)`", table))
    assert len(names) > 20
    for name in names:
        assert importlib.util.find_spec(name) is not None, name
