"""Commands that need the Kafka of streaming out, while it is away."""

from pathlib import Path

import pytest

from finkray.host.exit_codes import CommandExit
from finkray.streamout.published import FilterStore
from jobs.cluster import streamout_kafka
from tests.support.commands import Finkray
from tests.support.published_filters import SQL, published
from tests.support.small_archives import SmallArchive

NOWHERE = "127.0.0.1:1"

COMMANDS = (
    "filter publish bright.toml --topic bright",
    "filter list",
    "subscriber add alice --topic bright",
    "subscriber list",
    "subscriber remove alice",
    "consume bright",
    "notify bright --webhook-file hook",
    "transfer ftransfer_ztf_x --from 2026-11-24 --to 2026-11-25",
)


@pytest.fixture
def folder(small: SmallArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an archive, a filter that is published, and settings without a Kafka."""
    monkeypatch.setattr(streamout_kafka, "ANSWER_S", 0.2)
    FilterStore(small.storage).publish(published("bright", "bright"))
    (tmp_path / "bright.toml").write_text(SQL)
    (tmp_path / "hook").write_text("http://127.0.0.1:1/hook")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "finkray.toml").write_text(
        f'[archive]\nuri = "{small.storage.uri}"\n[streamout]\nbootstrap_servers = "{NOWHERE}"\n'
    )
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_gives_up_and_names_the_brokers_and_their_setting(
    finkray: Finkray, folder: Path, command: str
) -> None:
    assert folder == Path.cwd()
    answer = finkray(*command.split())
    assert answer.returncode == CommandExit.UNAVAILABLE
    assert f"at {NOWHERE} did not answer within 0.2 s" in answer.stderr
    assert "is streamout.bootstrap_servers right?" in answer.stderr


@pytest.mark.parametrize("what", ["pause", "resume", "retire"])
def test_filters_are_paused_and_retired_without_kafka(
    finkray: Finkray, folder: Path, what: str
) -> None:
    assert folder == Path.cwd()
    assert finkray("filter", what, "bright").returncode == 0
