"""`finkray catalog`, and docs/catalogs.md followed word by word."""

import json
import re
import shutil
from pathlib import Path

import pytest

from actors.remote_crossmatch import remote_catalog
from catalogs.description import read_description
from finkray.settings.catalogs import RemoteSettings
from finkray.settings.model import load
from tests.support.commands import Finkray

PAGE = Path(__file__).parents[4] / "docs" / "catalogs.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == kind]


def test_the_page_from_the_first_line_to_the_last(
    finkray: Finkray, tmp_path: Path, test_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(test_data / "catalogs" / "gcvs.parquet", tmp_path)
    (tmp_path / "gcvs.toml").write_text(blocks("toml")[0])
    build, remove = blocks("sh")
    said = {}
    for command in build.splitlines():
        answer = finkray(*command.split()[1:])
        assert answer.returncode == 0, answer.stderr
        said[command] = answer.stdout
    assert "59,099 sources" in said["finkray catalog build gcvs"]
    assert re.search(
        r"gcvs +2022-06 +59,099 sources +within 1.5 arcsec", said["finkray catalog list"]
    )
    assert "VarType" in said["finkray catalog show gcvs"]

    exec(blocks("python")[0], {})  # the code of the page
    printed = capfd.readouterr().out
    assert "'VarType': 'SNI'" in printed
    assert "'reason': 'no_position'" in printed

    for command in remove.splitlines():
        assert finkray(*command.split()[1:]).returncode == 0
    assert "no catalogue" in finkray("catalog", "list").stdout
    assert (tmp_path / "gcvs.parquet").exists()


def test_the_recipes_are_descriptions(tmp_path: Path) -> None:
    names = []
    for text in blocks("toml"):
        if "[catalog]" not in text:  # settings, see below
            continue
        path = tmp_path / "one.toml"
        path.write_text(text)
        names.append(read_description(path).catalog.name)
    assert names == ["gcvs", "gaia", "simbad", "gcvs", "vsx", "lac4"]


def test_the_catalogues_on_the_web_are_settings(finkray: Finkray, tmp_path: Path) -> None:
    (text,) = (text for text in blocks("toml") if "[catalogs.remote" in text)
    path = tmp_path / "finkray.toml"
    path.write_text(text)
    remote = load(path, {}).catalogs.remote
    assert list(remote) == ["simbad", "allwise"]
    listed = finkray("catalog", "list", "-c", str(path)).stdout
    assert re.search(r"simbad +on the web, simbad +within 1.5 arcsec", listed)
    client = remote_catalog("simbad", remote["simbad"])
    assert (client.name, client.radius_arcsec) == ("simbad", 1.5)
    for name, field in RemoteSettings.model_fields.items():
        assert f"`{name}`" in PAGE.read_text(), field


def test_the_recipe_of_4lac_builds(finkray: Finkray, tmp_path: Path, test_data: Path) -> None:
    for file in (test_data / "catalogs").glob("table-4LAC-DR3-*.fits"):
        shutil.copy(file, tmp_path)
    (tmp_path / "lac4.toml").write_text(blocks("toml")[-1])
    assert finkray("catalog", "add", "lac4.toml").returncode == 0
    answer = finkray("catalog", "build", "--all")
    assert answer.returncode == 0, answer.stderr
    assert "lac4 dr3: 3,814 sources" in answer.stdout
    shown = json.loads(finkray("catalog", "show", "lac4", "--json").stdout)
    assert shown["current"] == "dr3"
    assert shown["versions"]["dr3"]["rows"] == 3814
    (listed,) = json.loads(finkray("catalog", "list", "--json").stdout)
    assert listed["version"] == "dr3"


def test_a_wrong_column_is_told_when_it_is_added(
    finkray: Finkray, tmp_path: Path, test_data: Path
) -> None:
    shutil.copy(test_data / "catalogs" / "gcvs.parquet", tmp_path)
    text = blocks("toml")[0]
    (tmp_path / "gcvs.toml").write_text(text.replace("VarType", "Type"))
    answer = finkray("catalog", "add", "gcvs.toml")
    assert answer.returncode == 1
    assert "has no column Type; it has VarType, dec, ra" in answer.stderr
    (tmp_path / "gcvs.toml").write_text(text.replace("radius_arcsec", "radius"))
    answer = finkray("catalog", "add", "gcvs.toml")
    assert answer.returncode == 2
    assert "did you mean catalog.radius_arcsec" in answer.stderr


def test_what_is_not_there_is_told(finkray: Finkray) -> None:
    for command in ("show", "build", "remove"):
        answer = finkray("catalog", command, "gaia")
        assert answer.returncode == 1
        assert "there is no catalogue gaia" in answer.stderr
    answer = finkray("catalog", "build")
    assert answer.returncode == 2
    assert "expected a name, or --all" in answer.stderr
