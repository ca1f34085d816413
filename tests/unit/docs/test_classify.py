"""docs/classify.md is true: from real alerts and a real catalogue to classes beside the alerts."""

import os
import sys
from collections import Counter
from pathlib import Path

import pyarrow.compute as pc

import finkray
from tests.support import docs_pages
from tests.support.real_archives import LSST_ALERTS, ZTF_ALERTS, real_archive, write_gcvs

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "classify.md"


def test_who_follows_the_page_has_a_class_beside_each_alert(
    tmp_path: Path, test_data: Path
) -> None:
    real_archive(tmp_path / "archive", test_data)
    write_gcvs(tmp_path, test_data)
    for name, text in docs_pages.files(PAGE).items():
        (tmp_path / name).write_text(text)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FINKRAY_STATE": str(tmp_path / "state"),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(CHECKOUT),
    }
    commands = docs_pages.commands(PAGE, live=False)
    assert len(commands) == 3
    for command in [*commands, "python read_classes.py"]:
        docs_pages.follow(command, tmp_path, environment)

    archive = finkray.open_archive(tmp_path / "archive")
    joined = {
        "class": pc.field("classify", "class"),
        "version": pc.field("classify", "catalog_version"),
        "status": pc.field("classify", "status"),
        "rule": pc.field("classify", "rule"),
    }
    ztf, lsst = (
        archive.dataset(topic=topic, with_services=["classify"]).to_table(joined)
        for topic in ("ztf", "lsst")
    )
    assert (ztf.num_rows, lsst.num_rows) == (ZTF_ALERTS, LSST_ALERTS)
    assert set(ztf["status"].to_pylist() + lsst["status"].to_pylist()) == {"ok"}
    assert Counter(ztf["version"].to_pylist()) == {"2022-06": 13, None: ZTF_ALERTS - 13}
    assert {"RR*", "Mi*", "Unknown"} <= set(ztf["class"].to_pylist())
    assert set(lsst["class"].to_pylist()) == {"Unknown"}
    assert set(lsst["rule"].to_pylist()) == {"no source with a type in gcvs 2022-06"}
