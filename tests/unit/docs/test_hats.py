"""docs/hats.md is true: followed word by word on an archive of real alerts."""

import json
import os
import sys
from pathlib import Path

from tests.support import docs_pages
from tests.support.real_archives import ZTF_ALERTS, real_archive

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "hats.md"


def test_who_follows_the_page_opens_the_night(tmp_path: Path, test_data: Path) -> None:
    real_archive(tmp_path / "archive", test_data)
    for name, text in docs_pages.files(PAGE).items():
        (tmp_path / name).write_text(text)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FINKRAY_STATE": str(tmp_path / "state"),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(CHECKOUT),
    }

    def follow(command: str) -> str:
        return docs_pages.follow(command, tmp_path, environment)

    build, list_ = docs_pages.commands(PAGE, live=False)
    assert f"2018-06-25 ztf: {ZTF_ALERTS} alerts of " in follow(build)
    listed, _, as_json = follow(f"{list_} && echo --- && {list_} --json").partition("---")
    assert f"{ZTF_ALERTS} alerts" in listed
    (night,) = json.loads(as_json)
    assert (night["alerts"], night["generation"]) == (ZTF_ALERTS, 1)
    printed = follow("python first_look.py")
    assert f"{night['objects']} objects;" in printed
    assert "objects within an arcminute" in printed
    assert "detection" in follow("python plain_parquet.py")
