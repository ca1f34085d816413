import stat
from pathlib import Path

from jobs.cluster.state import state_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_place_of_the_state(tmp_path: Path) -> None:
    named, xdg = tmp_path / "named", tmp_path / "xdg"
    both = {"FINKRAY_STATE": str(named), "XDG_STATE_HOME": str(xdg)}
    assert state_folder(both) == named
    assert state_folder({"XDG_STATE_HOME": str(xdg)}) == xdg / "finkray"
    assert mode(named) == 0o700


def test_private_files_are_private_also_over_one_that_was_not(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "secret"
    write_private(path, "one")
    assert mode(path) == 0o600
    path.chmod(0o644)
    write_private(path, "two")
    assert (mode(path), path.read_text()) == (0o600, "two")
