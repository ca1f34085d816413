"""docs/outliers.md is true: followed word by word on an archive of real alerts."""

import json
import re
from pathlib import Path

import pyarrow.compute as pc

import finkray
from finkray.outliers.aspects import CURVE_ASPECTS, LSST_ASPECTS, ZTF_ASPECTS
from finkray.outliers.feature_list import FEATURE_LISTS
from finkray.results.diff import diff
from finkray.results.store import find_store
from finkray.storage.local import LocalStorage
from tests.support import docs_pages
from tests.support.packets import lsst_v10_frames, real_ztf_packets
from tests.support.real_archives import RealArchive

PAGE = docs_pages.CHECKOUT / "docs" / "outliers.md"


def test_the_numbers_of_features_and_aspects_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())
    ztf, lsst = FEATURE_LISTS["ztf"], FEATURE_LISTS["lsst"]
    counts = (len(ZTF_ASPECTS), len(LSST_ASPECTS), len(CURVE_ASPECTS))
    assert (
        "{} aspects of ZTF's alerts, the {} of LSST's and the {} of a curve".format(*counts) in text
    )
    files = f"`finkray/outliers/features_ztf.py` ({len(ztf.features)}) and `features_lsst.py` ("
    assert f"{files}{len(lsst.features)}, in flux)" in text
    of_a_curve = sum(map(len, CURVE_ASPECTS.values()))
    assert f", {of_a_curve} features of its shape are scored" in text


def test_who_follows_the_page_has_a_list_with_reasons(tmp_path: Path, test_data: Path) -> None:
    real = RealArchive(tmp_path / "archive", test_data)
    real.put("ztf", list(real_ztf_packets(test_data, "20180626_skyportal_205")))
    real.put("lsst", lsst_v10_frames(test_data)[:60])
    follow = docs_pages.follower(PAGE, tmp_path)
    train, models, run, listed, transients, own_run, own_list, again, all_models = (
        docs_pages.commands(PAGE, live=False)
    )
    trained = re.findall(r"^(ztf|lsst) ([0-9a-f]{16}): (\d+) reference", follow(train), re.M)
    assert [(survey, int(rows)) for survey, _, rows in trained] == [("ztf", 205), ("lsst", 60)]
    assert follow(models).count("in use") == 2
    assert "265 alerts (265 ok)" in follow(run)
    lines = follow(listed).splitlines()
    assert len(lines) == 25, "five objects with an alert and three reasons each"
    assert all(len(line) < 80 for line in lines if "% of alerts" not in line)
    assert sum("% of alerts are as " in line for line in lines) == 15
    found = json.loads(follow(transients))
    assert found
    assert {row["context"] for row in found} <= {"galaxy", "unknown", "nothing"}
    assert follow("python read_outliers.py").count("\n") == 5
    assert "'drivers': [{'name': " in follow("python own_model.py")
    judged = follow("python judge.py")
    assert re.findall(r"^thumb (\d) ZTF\w+ (?:up|down)$", judged, re.M) == list("123456")
    assert judged.endswith("\n6 thumbs count\n")
    thumbs = json.loads(follow("finkray outliers thumbs list --json"))
    assert [thumb["action"] for thumb in thumbs] == ["down", "up"] * 3
    assert all(
        thumb["shown"]["reasons"] and thumb["features"]["over_image_limit"] for thumb in thumbs
    )
    first = thumbs[0]["alert_id"]
    told = follow(f"finkray outliers thumb {first} down --user group-a")
    assert f"thumb 9: group-a down ztf alert {first}; finkray outliers refit" in told
    assert "thumb 2 is taken back" in follow("finkray outliers thumbs undo 2")
    taught = json.loads(follow("finkray outliers refit --user group-a --json"))
    assert (taught["up"], taught["down"], taught["in_use"]) == (
        2,
        3,
        taught["after"] >= taught["before"],
    )
    if taught["in_use"]:
        follow("finkray outliers revert")
    assert "is in use by group-a" in follow(
        f"finkray outliers use {taught['version']} --user group-a"
    )
    assert "265 alerts (265 ok)" in follow(own_run)
    assert follow(own_list).count("\n") == 25
    (seeded,) = re.findall(r"([0-9a-f]{16}): 205 reference alerts .* not in use", follow(again))
    versions = {model["version"]: model["in_use"] for model in json.loads(follow(all_models))}
    assert versions == {version: True for _, version, _ in trained} | dict.fromkeys(
        (seeded, taught["version"]), False
    )
    assert f"ztf {seeded} is in use" in follow(f"finkray outliers use {seeded[:6]}")
    assert f"ztf {trained[0][1]} is in use again" in follow("finkray outliers revert")
    assert "reference alerts: 205 in both, 0 in the first alone" in follow(
        f"finkray outliers compare {trained[0][1]} {seeded}"
    )
    assert json.loads(follow(f"finkray outliers show {seeded}"))["facts"]["alerts"] == 205
    chosen = follow("python choose_model.py")
    assert re.match(r"ztf [0-9a-f]{16}: 205 reference alerts of 205 .* not in use", chosen)
    assert "'alerts': 205" in chosen
    assert "reference alerts: 205 in both" in chosen

    archive = finkray.open_archive(tmp_path / "archive")
    own = archive.results("outliers-group-a").to_table()
    assert set(pc.unique(own["model"]).to_pylist()) == {taught["version"], trained[1][1]}
    storage = LocalStorage(tmp_path / "archive")
    stores = (find_store(storage, name) for name in ("outliers", "outliers-group-a"))
    difference = diff(*stores)
    assert (difference.same, difference.different, difference.only) == (60, 205, (0, 0))
    assert {"score", "model"} <= set(difference.by_column)
    assert not {"plain_score", "quality", "context"} & set(difference.by_column)
    scored = archive.results("outliers").to_table()
    assert scored["score"].null_count == 0
    assert set(pc.unique(scored["survey"]).to_pylist()) == {"ztf", "lsst"}
