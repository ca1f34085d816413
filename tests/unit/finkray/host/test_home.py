"""A home folder that nobody knows is a wrong setting, not a bug."""

from pathlib import Path

import pytest

from finkray.errors import SettingsError
from finkray.host.home import expanded
from jobs.cluster.state import state_folder
from tests.support.commands import Finkray

NOBODY = "~no-such-user-of-this-machine"


def test_a_path_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/alerts") == tmp_path / "alerts"
    assert expanded("alerts/~") == Path("alerts/~")


def test_a_home_folder_that_nobody_knows_is_told(finkray: Finkray) -> None:
    with pytest.raises(SettingsError, match=f"{NOBODY}/alerts: nobody knows this home folder"):
        expanded(f"{NOBODY}/alerts")
    with pytest.raises(SettingsError, match=r"state folder: .* in FINKRAY_STATE"):
        state_folder({"FINKRAY_STATE": f"{NOBODY}/state"})
    answer = finkray("start", "hats", FINKRAY__ARCHIVE__URI=f"{NOBODY}/archive")
    assert answer.returncode == 2
    assert f"{NOBODY}/archive: nobody knows this home folder" in answer.stderr
