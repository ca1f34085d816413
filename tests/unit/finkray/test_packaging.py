"""What each way of installing finkray brings: a reader, catalogues, or the whole broker."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from finkray.results.backlog import AlertSelection
from finkray.storage.local import LocalStorage
from tests.support.serving import serve
from tests.support.small_archives import SmallArchive

CHECKOUT = Path(__file__).parents[3]
SHIPPED = ("actors", "catalogs", "finkray", "jobs", "sim", "ui")
LOADED_BY_NAME = {"httptools": "ui/app.py"}
"""Packages that no module imports: where their name is given to a library, which loads them."""

PLAIN_INSTALL = """
import importlib.abc, json, sys

blocked = set(json.loads(sys.argv[1]))

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not in a plain install", name=name)

sys.meta_path.insert(0, Blocker())
"""
"""Makes an interpreter find no other package than those of a plain install."""

READS = """
uri = sys.argv[2]

import pyarrow as pa
import finkray, finkray.adapter, finkray.errors, finkray.testing

class Copy(finkray.Service):
    columns = ["kafka_offset"]
    output = pa.schema([("copy", pa.int64())])
    version = "1"

    def process(self, alerts):
        return pa.table({"copy": alerts["kafka_offset"]})

archive = finkray.open_archive(uri)
joined = archive.dataset(with_services=["double"])
print(json.dumps({
    "alerts": archive.dataset().count_rows(),
    "joined": len(joined.to_table(["objectId"])),
    "results": archive.results("double").count_rows(),
    "newest": archive.newest("double").num_rows,
    "claims": archive.ledger().num_rows,
    "followed": sum(file.rows for file in archive.follow(wait_s=0)),
    "balanced": archive.audit(deep="all").balanced,
    "detections": len(finkray.adapter.detections(finkray.testing.alerts())),
    "tested": len(finkray.testing.run(Copy)),
}))
"""
"""Everything that a reader can do, in an interpreter that finds no other package."""


def declared() -> dict[str, list[str]]:
    """The requirements of pyproject.toml by extra; `plain` are those without any."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return {"plain": project["dependencies"], **project["optional-dependencies"]}


def name_of(requirement: str) -> str:
    """The normalized name of the distribution that a requirement asks for."""
    (name,) = re.findall(r"^[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(names: set[str]) -> set[str]:
    """These distributions and all that they require, without extras."""
    found: set[str] = set()
    open_names = set(names)
    while open_names:
        name = open_names.pop()
        found.add(name)
        required = metadata.requires(name) or ()
        open_names |= {name_of(line) for line in required if "extra ==" not in line} - found
    return found


def imported() -> Iterator[tuple[str, Path]]:
    """The top-level modules that the shipped packages import, wherever in a module they do."""
    for package in SHIPPED:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        yield alias.name.partition(".")[0], path
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0], path


def absent_from_a_plain_install() -> set[str]:
    """The top-level modules of other packages that a plain install leaves out."""
    plain = installed_with({name_of(line) for line in declared()["plain"]})
    modules = metadata.packages_distributions()
    absent = {
        module
        for module, distributions in modules.items()
        if not plain & {name_of(name) for name in distributions}
    }
    assert {"ray", "pyspark", "gradio", "confluent_kafka", "astropy", "pandas"} <= absent
    return absent - {*SHIPPED, "bench", "tests"}


def test_a_plain_install_reads_an_archive(quick_folder: Path) -> None:
    small = SmallArchive(LocalStorage(quick_folder / "archive"))
    small.put(0, 59)
    small.put(60, 69, dead=[65])
    serve(small, AlertSelection(from_seq=0))
    blocked = absent_from_a_plain_install() | {*SHIPPED, "bench", "tests"} - {"finkray"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PLAIN_INSTALL + READS,
            json.dumps(sorted(blocked)),
            small.storage.uri,
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "alerts": 69,
        "joined": 69,
        "results": 69,
        "newest": 69,
        "claims": 2,
        "followed": 69,
        "balanced": True,
        "detections": 120,
        "tested": 120,
    }


def test_the_command_says_what_a_plain_install_lacks() -> None:
    command = "import jobs.cli.entry; jobs.cli.entry.main()"
    blocked = json.dumps(sorted(absent_from_a_plain_install()))
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_INSTALL + command, blocked],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("finkray: its commands need the package ")
    assert "pip install 'finkray[broker]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_extras_together_are_what_the_code_imports() -> None:
    requirements = declared()
    shipped = {
        name_of(line)
        for extra in ("plain", "broker", "catalogs", "outliers", "stores")
        for line in requirements[extra]
    } - {"finkray"}
    modules = metadata.packages_distributions()
    used: dict[str, Path] = {}
    for module, path in imported():
        if module in sys.stdlib_module_names or module in SHIPPED:
            continue
        names = {name_of(name) for name in modules[module]}
        assert names & shipped, f"{path} imports {module}, which no extra brings"
        used |= dict.fromkeys(names & shipped, path)
    for name, where in LOADED_BY_NAME.items():
        assert f'"{name}"' in (CHECKOUT / where).read_text(encoding="utf-8")
    assert shipped == {*used, *LOADED_BY_NAME}, "an extra brings what nothing imports"


@pytest.mark.parametrize("extra", ["plain", "broker", "catalogs", "outliers", "stores", "dev"])
def test_the_lock_pins_all_that_is_declared(extra: str) -> None:
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock.replace("_", "-"), re.MULTILINE))
    pinned |= set(re.findall(r"^([a-z0-9-]+)\[[\w,-]+\]==", lock, re.MULTILINE))
    assert {name_of(line) for line in declared()[extra]} - {"finkray"} <= pinned
