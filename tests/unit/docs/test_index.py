"""docs/index.md is true: followed word by word on an archive of real alerts."""

import os
import re
import sys
from pathlib import Path

from tests.support import docs_pages
from tests.support.real_archives import real_archive

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs" / "index.md"


def test_who_follows_the_page_finds_objects(tmp_path: Path, test_data: Path) -> None:
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

    before = follow("python look_up.py")
    build, status = docs_pages.commands(PAGE, live=False)
    assert re.match(r"\d+ alerts of \d+ files in 1 runs, ", follow(build))
    assert "not indexed" not in follow(status)
    assert follow("python look_up.py") == before
    assert re.search(r"^[1-9]\d* objects within ten degrees$", before, re.MULTILINE)
    assert re.search(r"^ZTF\w+ [1-9]\d* alerts$", before, re.MULTILINE)
    assert re.search(r"^[1-9]\d* alerts within 3 arcsec", before, re.MULTILINE)
