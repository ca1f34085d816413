import os
import stat
from pathlib import Path

import pytest

from finkray.whole_file import whole_file


@pytest.mark.parametrize("durable", [True, False])
def test_readers_see_the_old_file_until_the_new_one_is_complete(
    tmp_path: Path, durable: bool
) -> None:
    path = tmp_path / "facts"
    with whole_file(path, durable=durable) as file:
        file.write(b"one")
        file.flush()
        assert not path.exists()
        assert all(each.name.startswith(".") for each in tmp_path.iterdir())
    with whole_file(path, durable=durable) as file:
        file.write(b"two")
        file.flush()
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "facts"
    path.write_bytes(b"one")

    def write_a_part() -> None:
        with whole_file(path) as file:
            file.write(b"two")
            raise error

    with pytest.raises(error):
        write_a_part()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_a_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "facts"
    with whole_file(path) as first, whole_file(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_permissions_are_those_asked_for_less_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        for mode in (0o666, 0o600):
            with whole_file(tmp_path / "facts", mode=mode):
                pass
            assert stat.S_IMODE((tmp_path / "facts").stat().st_mode) == mode & ~0o022
    finally:
        os.umask(mask)
