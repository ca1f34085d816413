"""docs/hats.md is true: followed word by word on an archive of real alerts."""

import json
from pathlib import Path

from tests.support import docs_pages
from tests.support.real_archives import ZTF_ALERTS, real_archive

PAGE = docs_pages.CHECKOUT / "docs" / "hats.md"


def test_who_follows_the_page_opens_the_night(tmp_path: Path, test_data: Path) -> None:
    real_archive(tmp_path / "archive", test_data)
    follow = docs_pages.follower(PAGE, tmp_path)
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
