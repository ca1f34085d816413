"""A thumb from Python; docs/outliers.md gives some on an archive with scores."""

from pathlib import Path
from typing import Any

import pytest

import finkray
from finkray.errors import ServiceError
from finkray.storage.local import LocalStorage
from tests.support.small_archives import SmallArchive


def test_a_thumb_that_says_nothing_or_of_an_archive_without_scores_is_refused(
    tmp_path: Path,
) -> None:
    SmallArchive(LocalStorage(tmp_path / "archive"))
    archive = finkray.open_archive(tmp_path / "archive")
    sideways: Any = "sideways"
    with pytest.raises(ValueError, match="'sideways' is no direction: expected up or down"):
        archive.thumb(17, sideways)
    with pytest.raises(ServiceError, match="outliers"):
        archive.thumb(17, "up")
