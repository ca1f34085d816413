import json
import resource
import stat
from pathlib import Path

import pytest

from finkray.errors import FinkrayError, StorageError
from finkray.host.records import read_record, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_files_are_private_also_over_one_that_was_not(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    write_private(path, "one")
    assert mode(path) == 0o600
    path.chmod(0o644)
    write_private(path, "two")
    assert (mode(path), path.read_text()) == (0o600, "two")


def test_a_disk_that_refuses_leaves_the_record_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_private(path, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # a file that is too large: EFBIG
    try:
        with pytest.raises(StorageError, match=r"record\.json cannot be written: .*df -h"):
            write_private(path, "x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", '{"b": 1}', "\x00"])
def test_a_damaged_record_is_told_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"

    def parse(data: bytes) -> int:
        found: int = json.loads(data)["a"]
        return found

    assert read_record(path, parse, "delete it") is None
    path.write_text(text)
    with pytest.raises(FinkrayError, match=r"record\.json is damaged: delete it"):
        read_record(path, parse, "delete it")
    write_private(path, '{"a": 1}')
    assert read_record(path, parse, "delete it") == 1
