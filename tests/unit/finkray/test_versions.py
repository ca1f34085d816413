"""Versions that are built as folders: whole or not at all, one builder at a time."""

import multiprocessing
from pathlib import Path

import pytest

from finkray.errors import ServiceError
from finkray.versions import VersionedFolder


@pytest.fixture
def models(tmp_path: Path) -> VersionedFolder:
    return open_models(tmp_path)


def open_models(folder: Path) -> VersionedFolder:
    return VersionedFolder(folder / "forest", "forest", record="trained.json", error=ServiceError)


def build(models: VersionedFolder, version: str, text: str = "rows") -> None:
    with models.building(version) as draft:
        (draft / "sample").write_text(text)
        models.publish(draft, version, {"text": text})


def test_a_version_is_there_when_it_is_published_and_used_when_it_is_said(
    models: VersionedFolder,
) -> None:
    assert models.versions() == []
    assert models.current() is None
    build(models, "1")
    build(models, "2", "more rows")
    assert models.versions() == ["1", "2"]
    assert models.current() is None
    models.use("1")
    assert models.current() == "1"
    assert models.record("2") == {"text": "more rows"}
    assert (models.path("2") / "sample").read_text() == "more rows"


def test_a_build_that_fails_leaves_nothing(models: VersionedFolder) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"), models.building("1") as draft:
        models.publish(draft, "1", {"text": object()})
    assert models.versions() == []
    assert list(models.folder.glob("building-*")) == []
    (models.folder / "building-0").mkdir()  # as a process leaves it that was killed
    build(models, "1")
    assert list(models.folder.glob("building-*")) == []


def test_one_process_builds_at_a_time(models: VersionedFolder, tmp_path: Path) -> None:
    with models.building("1"):
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            assert pool.apply(build_elsewhere, (tmp_path,)) == (
                "forest is being built by another process"
            )


def build_elsewhere(folder: Path) -> str:
    try:
        build(open_models(folder), "2")
    except ServiceError as error:
        return str(error)
    return "built"


def test_what_cannot_be_is_refused_in_words(models: VersionedFolder) -> None:
    build(models, "1")
    models.use("1")
    with pytest.raises(ServiceError, match="forest 1 is built already"):
        build(models, "1")
    with pytest.raises(ServiceError, match="forest has no version 3; built are: 1"):
        models.use("3")
    with pytest.raises(ServiceError, match="forest 1 is the version that is used"):
        models.remove("1")
    with pytest.raises(ServiceError, match=r"'\.\./x' cannot be a version"):
        models.path("../x")


def test_versions_are_removed_one_by_one_or_all(models: VersionedFolder) -> None:
    for version in ("1", "2"):
        build(models, version)
    models.use("2")
    models.remove("1")
    assert models.versions() == ["2"]
    models.remove_all()
    assert models.versions() == []
    assert models.current() is None
