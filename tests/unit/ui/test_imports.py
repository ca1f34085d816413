"""Which module of the package may import what."""

import re
import subprocess
import sys
from pathlib import Path

UI = Path(__file__).parents[3] / "ui"

VIEWS = [f"ui.views.{path.stem}" for path in (UI / "views").glob("[a-z]*.py")]
PLAIN = [*VIEWS, "ui.kit.markup", "ui.kit.elements", "ui.kit.reading"]


def importers(pattern: str) -> list[str]:
    expression = re.compile(pattern, re.MULTILINE)
    found = (path for path in UI.rglob("*.py") if expression.search(path.read_text("utf-8")))
    return sorted(path.relative_to(UI).as_posix() for path in found)


def test_view_models_load_without_gradio_and_pandas() -> None:
    code = f"import sys, {', '.join(PLAIN)}\nprint({{'gradio', 'pandas'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_gradio_is_imported_in_one_module_which_keeps_it_offline() -> None:
    assert importers(r"^ *(import gradio|from gradio)") == ["kit/offline_gradio.py"]


def test_gradio_does_not_parse_its_own_source_while_it_is_imported() -> None:
    code = """
import sys
parsed = []
def hear(event, details):
    if event == "compile" and details[1] == "<unknown>":  # the name that `ast.parse` gives
        parsed.append(details[0])
sys.addaudithook(hear)
import ui.kit.offline_gradio
print([each for each in parsed if "class " in str(each)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_text_is_escaped_in_one_module() -> None:
    assert importers(r"import escape\b|html\.escape|import html$") == ["kit/markup.py"]


def test_only_look_ups_in_their_own_process_open_files() -> None:
    names = ("alert_files", "avro_file", "downloads", "durable", "nights", "objects", "process")
    lookups = [f"lookups/{name}.py" for name in (*names, "results", "sky", "sql", "tonight")]
    assert importers(r"finkray\.(storage|ledger|kafka|ingest|reader)\b") == lookups
