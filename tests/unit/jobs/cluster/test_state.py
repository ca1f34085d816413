import stat
from pathlib import Path

import pytest

from finkray.errors import SettingsError
from jobs.cluster.state import refuse_shared, state_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_place_of_the_state(tmp_path: Path) -> None:
    named, xdg = tmp_path / "named", tmp_path / "xdg"
    both = {"FINKRAY_STATE": str(named), "XDG_STATE_HOME": str(xdg)}
    assert state_folder(both) == named
    assert state_folder({"XDG_STATE_HOME": str(xdg)}) == xdg / "finkray"
    assert mode(named) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_state_folder_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:04o}.*chmod 0700"):
        state_folder({"FINKRAY_STATE": str(folder)})


def test_a_state_folder_that_is_a_link_or_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to("elsewhere")
    with pytest.raises(SettingsError, match="not a link"):
        state_folder({"FINKRAY_STATE": str(link)})
    # Root owns "/", and whoever is not root does not: either way it is not a private folder.
    with pytest.raises(SettingsError, match=r"another user|other users"):
        refuse_shared(Path("/"), "state folder", others_may_read=False)


def test_a_state_folder_that_cannot_be_created_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(SettingsError, match=r"cannot be created: .* in FINKRAY_STATE"):
            state_folder({"FINKRAY_STATE": str(tmp_path / name)})
