"""docs/index.md is true: followed word by word on an archive of real alerts."""

import re
from pathlib import Path

from tests.support import docs_pages
from tests.support.real_archives import real_archive

PAGE = docs_pages.CHECKOUT / "docs" / "index.md"


def test_who_follows_the_page_finds_objects(tmp_path: Path, test_data: Path) -> None:
    real_archive(tmp_path / "archive", test_data)
    follow = docs_pages.follower(PAGE, tmp_path)
    before = follow("python look_up.py")
    build, status = docs_pages.commands(PAGE, live=False)
    assert re.match(r"\d+ alerts of \d+ files in 1 runs, ", follow(build))
    assert "not indexed" not in follow(status)
    assert follow("python look_up.py") == before
    assert re.search(r"^[1-9]\d* objects within ten degrees$", before, re.MULTILINE)
    assert re.search(r"^ZTF\w+ [1-9]\d* alerts$", before, re.MULTILINE)
    assert re.search(r"^[1-9]\d* alerts within 3 arcsec", before, re.MULTILINE)
